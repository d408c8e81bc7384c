/* SPDX-License-Identifier: MIT */
/* Building kernels, once for each device and set of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/binary.h"
#include "opencl/cache.h"
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

static rwkv6_status compile(const rwkv6_device *device, const char *source, const char *options, rwkv6_cl_program *made,
                            rwkv6_error *error) {
  const rwkv6_cl_device *d = device->cl;
  cl_int code;
  made->program = d->cl->CreateProgramWithSource(d->context, 1, &source, NULL, &code);
  if (code != CL_SUCCESS) {
    made->program = NULL;
    return rwkv6_cl_fail(error, code, "clCreateProgramWithSource");
  }
  code = d->cl->BuildProgram(made->program, 1, &d->device, options, NULL, NULL);
  made->log = read_log(d, made->program, error);
  if (!made->log) return RWKV6_OUT_OF_MEMORY;
  if (code != CL_SUCCESS) return build_failed(device, code, made->name, made->log, error);
  made->is_new = true;
  rwkv6_device_log(device, RWKV6_LOG_DEBUG, "compiled %s", made->name);
  return RWKV6_OK;
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
  if (!status && !made->program) status = compile(device, source, want->options, made, error);
  free(source);
  return status;
}

static rwkv6_status build_and_list(rwkv6_device *device, const request *want, rwkv6_cl_program **program, rwkv6_error *error) {
  rwkv6_cl_device *d = device->cl;
  rwkv6_cl_program *made = rwkv6_alloc(1, sizeof *made, "a program", error);
  if (!made) return RWKV6_OUT_OF_MEMORY;
  made->name = make_name(want, error);
  const rwkv6_status status = made->name ? build(device, want, made, error) : RWKV6_OUT_OF_MEMORY;
  if (status) {
    if (made->program) d->cl->ReleaseProgram(made->program);
    free(made->name);
    free(made->log);
    free(made);
    return status;
  }
  made->next = d->programs;
  d->programs = made;
  *program = made;
  return RWKV6_OK;
}

static rwkv6_cl_program *find(const rwkv6_cl_device *d, const char *name) {
  rwkv6_cl_program *program = d->programs;
  while (program && strcmp(program->name, name) != 0) program = program->next;
  return program;
}

rwkv6_status rwkv6_cl_program_get(rwkv6_device *device, const char *file, const char *options, const char *const *names,
                                  int count, rwkv6_cl_program **program, rwkv6_error *error) {
  const request want = {file, options, names, count};
  char *name = make_name(&want, error);
  if (!name) return RWKV6_OUT_OF_MEMORY;
  rwkv6_status status = RWKV6_OK;
  rwkv6_mutex_lock(&device->cl->lock);
  *program = find(device->cl, name);
  if (!*program) status = build_and_list(device, &want, program, error);
  rwkv6_mutex_unlock(&device->cl->lock);
  free(name);
  return status;
}

static void keep(const rwkv6_device *device, const rwkv6_cl_program *program) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_cl_entry entry = {.key = program->key, .log = program->log};
  unsigned char *binary;
  if (rwkv6_cl_binary_get(device->cl, program->program, &binary, &entry.binary_size, &error)) {
    rwkv6_device_log(device, RWKV6_LOG_INFO, "%s is not kept in the cache: %s", program->name, error.message);
    return;
  }
  entry.binary = binary;
  rwkv6_cl_cache_store(device, &entry);
  free(binary);
}

/* Only one of the threads that come here gets a new program. NULL: there is none (left). */
static const rwkv6_cl_program *take_new(rwkv6_cl_device *d) {
  rwkv6_mutex_lock(&d->lock);
  rwkv6_cl_program *program = d->programs;
  while (program && !program->is_new) program = program->next;
  if (program) program->is_new = false;
  rwkv6_mutex_unlock(&d->lock);
  return program;
}

/* Outside of the lock: writing may take long. */
void rwkv6_cl_programs_keep(rwkv6_device *device) {
  if (!device->cl || !device->cache_dir) return;
  for (const rwkv6_cl_program *program; (program = take_new(device->cl));)
    if (program->has_key) keep(device, program);
}
