/* SPDX-License-Identifier: MIT */
/*
 * Programs into the cache, once a rehearsal of their kernels is complete: before that, a driver that compiles at first launches
 * would hand out half a program. PoCL 3.1 does not add to a binary that it has handed out, so there is one chance.
 */
#include <stdlib.h>

#include "opencl/binary.h"
#include "opencl/cache.h"
#include "opencl/hold.h"

static void keep(const rwkv6_device *device, const rwkv6_cl_program *program) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  rwkv6_cl_entry entry = {.key = program->key, .log = program->log};
  unsigned char *binary;
  if (rwkv6_cl_binary_get(device->cl, program->program, &binary, &entry.binary_size, &error)) {
    rwkv6_device_log(device, RWKV6_LOG_INFO, "%s is not kept in the cache: %s", program->name, error.message);
    return;
  }
  entry.binary = binary;
  if (rwkv6_cl_cache_store(device, &entry)) rwkv6_device_log(device, RWKV6_LOG_DEBUG, "kept in the cache: %s", program->name);
  free(binary);
}

void rwkv6_cl_program_complete(rwkv6_device *device, rwkv6_cl_program *program, uint64_t kernels) {
  rwkv6_cl_device *d = device->cl;
  if (device->cache_dir && program->has_key && !program->in_cache) {
    program->in_cache = true;
    keep(device, program);
  }
  rwkv6_mutex_lock(&d->lock);
  program->complete |= kernels;
  rwkv6_mutex_unlock(&d->lock);
}

void rwkv6_cl_program_drop(rwkv6_device *device, rwkv6_cl_program *program) {
  rwkv6_cl_hold hold = {.name = program->name};
  rwkv6_cl_hold_all(&hold);
  rwkv6_cl_program_complete(device, program, ~(uint64_t)0);
  rwkv6_cl_let_go(&hold);
}
