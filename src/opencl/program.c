/* SPDX-License-Identifier: MIT */
/* Building kernels, once for each device and set of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/binary.h"
#include "opencl/cache.h"
#include "opencl/retarget.h"
#include "opencl/source.h"

/* What is asked for. File and options name a program; the kernels tell whether a binary is good. */
typedef struct request {
  const char *file, *options;
  const char *const *names; /* [count] kernels */
  int count;
} request;

static char *make_name(const request *want, rwkv6_error *error) {
  const size_t size = strlen(want->file) + strlen(want->options) + 2;
  char *name = rwkv6_alloc(size, 1, "the name of a program", error);
  if (name) snprintf(name, size, "%s %s", want->file, want->options);
  return name;
}

/* Never NULL: a log that cannot be read is an empty one. The caller frees it unless it is out of memory too. */
static char *read_log(const rwkv6_cl_device *d, cl_program program, rwkv6_error *error) {
  size_t size = 0;
  if (d->cl->GetProgramBuildInfo(program, d->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) != CL_SUCCESS) size = 0;
  char *log = rwkv6_alloc(size + 1, 1, "a build log", error);
  if (log && size && d->cl->GetProgramBuildInfo(program, d->device, CL_PROGRAM_BUILD_LOG, size, log, NULL) != CL_SUCCESS)
    log[0] = '\0';
  return log;
}

static rwkv6_status build_failed(const rwkv6_device *device, cl_int code, const char *name, const char *log,
                                 rwkv6_error *error) {
  rwkv6_device_log(device, RWKV6_LOG_WARNING, "building %s failed: %s; log follows", name, rwkv6_cl_error_name(code));
  rwkv6_device_log_text(device, RWKV6_LOG_WARNING, log);
  if (code == CL_OUT_OF_HOST_MEMORY) return rwkv6_cl_fail(error, code, "clBuildProgram");
  const rwkv6_status status =
      rwkv6_fail(error, RWKV6_BUILD_FAILED, "building %s failed: %s (%d)\n%s", name, rwkv6_cl_error_name(code), code, log);
  rwkv6_cl_error_code(error, code);
  return status;
}

/* Builds made->program and reads the log, in place of that of an earlier build. */
static rwkv6_status build_object(const rwkv6_device *device, const request *want, rwkv6_cl_program *made, rwkv6_error *error) {
  const rwkv6_cl_device *d = device->cl;
  const cl_int code = d->cl->BuildProgram(made->program, 1, &d->device, want->options, NULL, NULL);
  free(made->log);
  made->log = read_log(d, made->program, error);
  if (!made->log) return RWKV6_OUT_OF_MEMORY;
  return code == CL_SUCCESS ? RWKV6_OK : build_failed(device, code, made->name, made->log, error);
}

/* In place of a built program, the same with what the driver does not compile. */
static rwkv6_status build_shown(const rwkv6_device *device, const request *want, rwkv6_cl_program *made, rwkv6_error *error) {
  const rwkv6_cl_device *d = device->cl;
  unsigned char *binary;
  size_t size;
  cl_int code, accepted;
  const rwkv6_status status = rwkv6_cl_show(d, made->program, &binary, &size, error);
  if (status) return status;
  const unsigned char *bytes = binary;
  d->cl->ReleaseProgram(made->program);
  made->program = d->cl->CreateProgramWithBinary(d->context, 1, &d->device, &size, &bytes, &accepted, &code);
  free(binary);
  if (code == CL_SUCCESS) return build_object(device, want, made, error);
  made->program = NULL;
  return rwkv6_cl_fail(error, code, "clCreateProgramWithBinary");
}

/* A driver that gives no binary or does not take it back cannot compile such a program; that is no fault of the device. */
static rwkv6_status retarget(const rwkv6_device *device, const request *want, rwkv6_cl_program *made, rwkv6_error *error) {
  rwkv6_error why = RWKV6_ERROR_INIT;
  rwkv6_status status = build_shown(device, want, made, &why);
  if (!status) return RWKV6_OK;
  if (status == RWKV6_DEVICE_ERROR) why.status = status = RWKV6_BUILD_FAILED;
  rwkv6_fail_as(error, &why);
  return status;
}

static rwkv6_status compile(const rwkv6_device *device, const request *want, const char *source, rwkv6_cl_program *made,
                            rwkv6_error *error) {
  const rwkv6_cl_device *d = device->cl;
  cl_int code;
  made->program = d->cl->CreateProgramWithSource(d->context, 1, &source, NULL, &code);
  if (code != CL_SUCCESS) {
    made->program = NULL;
    return rwkv6_cl_fail(error, code, "clCreateProgramWithSource");
  }
  rwkv6_status status = build_object(device, want, made, error);
  if (!status && rwkv6_cl_hides(source, want->options)) status = retarget(device, want, made, error);
  if (!status) rwkv6_device_log(device, RWKV6_LOG_DEBUG, "compiled %s", made->name);
  return status;
}

/* Fills program and log from the cache. Where that cannot be, they stay NULL, and the program has to be compiled. */
static rwkv6_status load(const rwkv6_device *device, const request *want, rwkv6_cl_program *made, rwkv6_error *error) {
  rwkv6_error why = RWKV6_ERROR_INIT;
  rwkv6_cl_found found;
  if (!made->has_key || !rwkv6_cl_cache_find(device, &made->key, &found)) return RWKV6_OK;
  made->program = rwkv6_cl_binary_load(device->cl, found.entry.binary, found.entry.binary_size, want->options, want->names,
                                       want->count, &why);
  if (made->program) {
    const size_t size = strlen(found.entry.log) + 1;
    made->log = rwkv6_alloc(size, 1, "a build log", error);
    if (made->log) memcpy(made->log, found.entry.log, size);
    made->in_cache = true;
    rwkv6_device_log(device, RWKV6_LOG_DEBUG, "from the cache: %s", made->name);
  } else {
    rwkv6_device_log(device, RWKV6_LOG_INFO, "the program in the cache cannot be used: %s: %s", made->name, why.message);
  }
  free(found.bytes);
  return made->program && !made->log ? RWKV6_OUT_OF_MEMORY : RWKV6_OK;
}

/* made->name is set; fills the rest. */
static rwkv6_status build(const rwkv6_device *device, const request *want, rwkv6_cl_program *made, rwkv6_error *error) {
  char *source;
  rwkv6_status status = rwkv6_cl_source(want->file, &source, error);
  if (status) return status;
  made->has_key = rwkv6_cl_cache_key(device, want->options, source, &made->key);
  status = load(device, want, made, error);
  if (!status && !made->program) status = compile(device, want, source, made, error);
  free(source);
  return status;
}

static rwkv6_cl_program *find(const rwkv6_cl_device *d, const char *name) {
  rwkv6_cl_program *program = d->programs;
  while (program && strcmp(program->name, name) != 0) program = program->next;
  return program;
}

/* Under the lock. The program of that name, built, after waiting for the thread that builds it; NULL: there is none, or that
 * thread could not. */
static rwkv6_cl_program *find_built(rwkv6_cl_device *d, const char *name) {
  rwkv6_cl_program *program;
  while ((program = find(d, name)) && !program->is_built) rwkv6_condition_wait(&d->built, &d->lock);
  return program;
}

/* Under the lock. Puts a program to be built on the list, which takes over the name. */
static rwkv6_cl_program *announce(rwkv6_cl_device *d, const request *want, char *name, rwkv6_error *error) {
  rwkv6_cl_program *made = rwkv6_alloc(1, sizeof *made, "a program", error);
  if (!made) return NULL;
  made->name = name;
  made->kernel_count = want->count;
  memcpy(made->kernels, want->names, (size_t)want->count * sizeof *want->names);
  made->next = d->programs;
  d->programs = made;
  return made;
}

static void take_off(rwkv6_cl_device *d, const rwkv6_cl_program *program) {
  rwkv6_cl_program **link = &d->programs;
  while (*link != program) link = &(*link)->next;
  *link = program->next;
}

/* Of a program that was announced. Those that wait for it find it built, or gone and try for themselves. */
static rwkv6_status build_announced(rwkv6_device *device, const request *want, rwkv6_cl_program *made, rwkv6_error *error) {
  rwkv6_cl_device *d = device->cl;
  const rwkv6_status status = build(device, want, made, error);
  rwkv6_mutex_lock(&d->lock);
  made->is_built = status == RWKV6_OK;
  if (status) take_off(d, made);
  rwkv6_condition_wake_all(&d->built);
  rwkv6_mutex_unlock(&d->lock);
  if (status) rwkv6_cl_program_free(d, made);
  return status;
}

rwkv6_status rwkv6_cl_program_get(rwkv6_device *device, const char *file, const char *options, const char *const *names,
                                  int count, rwkv6_cl_program **program, rwkv6_error *error) {
  const request want = {file, options, names, count};
  rwkv6_cl_program *made = NULL;
  char *name = make_name(&want, error);
  if (!name) return RWKV6_OUT_OF_MEMORY;
  rwkv6_mutex_lock(&device->cl->lock);
  *program = find_built(device->cl, name);
  if (!*program) made = announce(device->cl, &want, name, error);
  rwkv6_mutex_unlock(&device->cl->lock);
  if (!made) free(name);
  if (*program) return RWKV6_OK;
  *program = made;
  return made ? build_announced(device, &want, made, error) : RWKV6_OUT_OF_MEMORY;
}

rwkv6_cl_program *rwkv6_cl_program_next(rwkv6_cl_device *device, const rwkv6_cl_program *after) {
  rwkv6_mutex_lock(&device->lock);
  rwkv6_cl_program *program = after ? after->next : device->programs;
  while (program && !program->is_built) program = program->next;
  rwkv6_mutex_unlock(&device->lock);
  return program;
}

rwkv6_cl_program *rwkv6_cl_program_of(rwkv6_cl_device *device, cl_program object) {
  rwkv6_mutex_lock(&device->lock);
  rwkv6_cl_program *program = device->programs;
  while (program && !(program->is_built && program->program == object)) program = program->next;
  rwkv6_mutex_unlock(&device->lock);
  return program;
}

uint64_t rwkv6_cl_program_complete_kernels(rwkv6_cl_device *device, const rwkv6_cl_program *program) {
  rwkv6_mutex_lock(&device->lock);
  const uint64_t kernels = program->complete;
  rwkv6_mutex_unlock(&device->lock);
  return kernels;
}

void rwkv6_cl_program_free(const rwkv6_cl_device *device, rwkv6_cl_program *program) {
  if (program->program) device->cl->ReleaseProgram(program->program);
  free(program->name);
  free(program->log);
  free(program);
}
