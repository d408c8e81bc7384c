/* SPDX-License-Identifier: MIT */
/* The few things that differ between operating systems and that C11 does not give everywhere: locks, shared libraries, aligned
 * memory. platform_windows.c has what is not inline here. */
#ifndef RWKV6_SRC_PLATFORM_H
#define RWKV6_SRC_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "rwkv6/rwkv6.h"

#ifdef _WIN32

/* An SRWLOCK, which <windows.h> would bring with thousands of other names. */
typedef struct rwkv6_mutex {
  void *word;
} rwkv6_mutex;
#define RWKV6_MUTEX_INIT                                                                                                       \
  { NULL } /* of a static one */

bool rwkv6_mutex_init(rwkv6_mutex *mutex);
void rwkv6_mutex_lock(rwkv6_mutex *mutex);
void rwkv6_mutex_unlock(rwkv6_mutex *mutex);
void rwkv6_mutex_destroy(rwkv6_mutex *mutex);

/* A CONDITION_VARIABLE. */
typedef struct rwkv6_condition {
  void *word;
} rwkv6_condition;
#define RWKV6_CONDITION_INIT                                                                                                   \
  { NULL } /* of a static one */

bool rwkv6_condition_init(rwkv6_condition *condition);
/* Releases the mutex while it waits. It can return for no reason, so the caller looks again. */
void rwkv6_condition_wait(rwkv6_condition *condition, rwkv6_mutex *mutex);
void rwkv6_condition_wake_all(rwkv6_condition *condition);
void rwkv6_condition_destroy(rwkv6_condition *condition);

/* Where the OpenCL library is looked for unless the caller gives one; the last is NULL. */
#define RWKV6_OPENCL_LIBRARIES                                                                                                 \
  { "OpenCL.dll", NULL }

/* NULL if it cannot be opened; rwkv6_library_reason tells why, on the same thread. */
void *rwkv6_library_open(const char *path);
const char *rwkv6_library_reason(void);
void rwkv6_library_close(void *library);
rwkv6_opencl_function rwkv6_library_function(void *library, const char *name);

/* `bytes` aligned to 64, or NULL. */
void *rwkv6_aligned_alloc(size_t bytes);
void rwkv6_aligned_free(void *memory);

#else

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef pthread_mutex_t rwkv6_mutex;
#define RWKV6_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER /* of a static one */

static inline bool rwkv6_mutex_init(rwkv6_mutex *mutex) {
  return pthread_mutex_init(mutex, NULL) == 0;
}
static inline void rwkv6_mutex_lock(rwkv6_mutex *mutex) {
  pthread_mutex_lock(mutex);
}
static inline void rwkv6_mutex_unlock(rwkv6_mutex *mutex) {
  pthread_mutex_unlock(mutex);
}
static inline void rwkv6_mutex_destroy(rwkv6_mutex *mutex) {
  pthread_mutex_destroy(mutex);
}

typedef pthread_cond_t rwkv6_condition;
/* Of a static one. */
#define RWKV6_CONDITION_INIT PTHREAD_COND_INITIALIZER

static inline bool rwkv6_condition_init(rwkv6_condition *condition) {
  return pthread_cond_init(condition, NULL) == 0;
}
/* Releases the mutex while it waits. It can return for no reason, so the caller looks again. */
static inline void rwkv6_condition_wait(rwkv6_condition *condition, rwkv6_mutex *mutex) {
  pthread_cond_wait(condition, mutex);
}
static inline void rwkv6_condition_wake_all(rwkv6_condition *condition) {
  pthread_cond_broadcast(condition);
}
static inline void rwkv6_condition_destroy(rwkv6_condition *condition) {
  pthread_cond_destroy(condition);
}

/* Where the OpenCL library is looked for unless the caller gives one; the last is NULL. */
#ifdef __APPLE__
#define RWKV6_OPENCL_LIBRARIES                                                                                                 \
  { "/System/Library/Frameworks/OpenCL.framework/OpenCL", NULL }
#else
#define RWKV6_OPENCL_LIBRARIES                                                                                                 \
  { "libOpenCL.so.1", "libOpenCL.so", NULL }
#endif

/* NULL if it cannot be opened; rwkv6_library_reason tells why, on the same thread. */
static inline void *rwkv6_library_open(const char *path) {
  return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}
static inline const char *rwkv6_library_reason(void) {
  const char *reason = dlerror();
  return reason ? reason : "unknown reason";
}
static inline void rwkv6_library_close(void *library) {
  dlclose(library);
}
/* POSIX lets a function pointer be read through the object pointer that dlsym returns; C does not, hence the copy. */
static inline rwkv6_opencl_function rwkv6_library_function(void *library, const char *name) {
  void *symbol = dlsym(library, name);
  rwkv6_opencl_function function;
  memcpy(&function, &symbol, sizeof function);
  return function;
}

/* `bytes` aligned to 64, or NULL. aligned_alloc wants a multiple of the alignment. */
static inline void *rwkv6_aligned_alloc(size_t bytes) {
  return bytes > SIZE_MAX - 128 ? NULL : aligned_alloc(64, (bytes / 64 + 1) * 64);
}
static inline void rwkv6_aligned_free(void *memory) {
  free(memory);
}

#endif

#endif
