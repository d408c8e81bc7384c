/* SPDX-License-Identifier: MIT */
/* Building kernels, once for each device and set of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/context.h"
#include "opencl/source.h"

static char *make_key(const char *file, const char *options, rwkv6_error *error) {
  const size_t size = strlen(file) + strlen(options) + 2;
  char *key = rwkv6_alloc(size, 1, "the key of a program", error);
  if (key) snprintf(key, size, "%s %s", file, options);
  return key;
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

static rwkv6_status build_failed(const rwkv6_device *device, cl_int code, const char *key, const char *log,
                                 rwkv6_error *error) {
  rwkv6_device_log(device, RWKV6_LOG_WARNING, "building %s failed: %s; log follows", key, rwkv6_cl_error_name(code));
  rwkv6_device_log_text(device, RWKV6_LOG_WARNING, log);
  if (code == CL_OUT_OF_HOST_MEMORY) return rwkv6_cl_fail(error, code, "clBuildProgram");
  const rwkv6_status status =
      rwkv6_fail(error, RWKV6_BUILD_FAILED, "building %s failed: %s (%d)\n%s", key, rwkv6_cl_error_name(code), code, log);
  if (error && error->size > offsetof(rwkv6_error, message)) error->opencl_error = code;
  return status;
}

/* made->key is set; fills program and log. */
static rwkv6_status build(const rwkv6_device *device, const char *file, const char *options, rwkv6_cl_program *made,
                          rwkv6_error *error) {
  const rwkv6_cl_device *d = device->cl;
  char *source;
  const rwkv6_status status = rwkv6_cl_source(file, &source, error);
  if (status) return status;
  cl_int code;
  const char *text = source;
  made->program = d->cl->CreateProgramWithSource(d->context, 1, &text, NULL, &code);
  free(source);
  if (code != CL_SUCCESS) {
    made->program = NULL;
    return rwkv6_cl_fail(error, code, "clCreateProgramWithSource");
  }
  code = d->cl->BuildProgram(made->program, 1, &d->device, options, NULL, NULL);
  made->log = read_log(d, made->program, error);
  if (!made->log) return RWKV6_OUT_OF_MEMORY;
  return code == CL_SUCCESS ? RWKV6_OK : build_failed(device, code, made->key, made->log, error);
}

static rwkv6_status build_and_keep(rwkv6_device *device, const char *file, const char *options,
                                   const rwkv6_cl_program **program, rwkv6_error *error) {
  rwkv6_cl_device *d = device->cl;
  rwkv6_cl_program *made = rwkv6_alloc(1, sizeof *made, "a program", error);
  if (!made) return RWKV6_OUT_OF_MEMORY;
  made->key = make_key(file, options, error);
  const rwkv6_status status = made->key ? build(device, file, options, made, error) : RWKV6_OUT_OF_MEMORY;
  if (status) {
    if (made->program) d->cl->ReleaseProgram(made->program);
    free(made->key);
    free(made->log);
    free(made);
    return status;
  }
  rwkv6_device_log(device, RWKV6_LOG_DEBUG, "built %s", made->key);
  made->next = d->programs;
  d->programs = made;
  *program = made;
  return RWKV6_OK;
}

static const rwkv6_cl_program *find(const rwkv6_cl_device *d, const char *key) {
  const rwkv6_cl_program *program = d->programs;
  while (program && strcmp(program->key, key) != 0) program = program->next;
  return program;
}

rwkv6_status rwkv6_cl_program_get(rwkv6_device *device, const char *file, const char *options, const rwkv6_cl_program **program,
                                  rwkv6_error *error) {
  char *key = make_key(file, options, error);
  if (!key) return RWKV6_OUT_OF_MEMORY;
  rwkv6_status status = RWKV6_OK;
  rwkv6_mutex_lock(&device->cl->lock);
  *program = find(device->cl, key);
  if (!*program) status = build_and_keep(device, file, options, program, error);
  rwkv6_mutex_unlock(&device->cl->lock);
  free(key);
  return status;
}
