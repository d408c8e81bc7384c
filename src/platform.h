/* SPDX-License-Identifier: MIT */
/* The few things that differ between operating systems and that C11 does not give everywhere: locks, run-once, shared objects.
 */
#ifndef RWKV6_SRC_PLATFORM_H
#define RWKV6_SRC_PLATFORM_H

#include <pthread.h>
#include <stdbool.h>

typedef pthread_mutex_t rwkv6_mutex;
typedef pthread_once_t rwkv6_once;
#define RWKV6_ONCE_INIT PTHREAD_ONCE_INIT

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
static inline void rwkv6_call_once(rwkv6_once *once, void (*function)(void)) {
  pthread_once(once, function);
}

#endif
