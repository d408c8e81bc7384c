/* SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "platform.h"

_Static_assert(sizeof(rwkv6_mutex) == sizeof(SRWLOCK), "rwkv6_mutex stands for an SRWLOCK, whose initial value is 0");

static SRWLOCK *lock_of(rwkv6_mutex *mutex) {
  return (SRWLOCK *)mutex;
}

bool rwkv6_mutex_init(rwkv6_mutex *mutex) {
  InitializeSRWLock(lock_of(mutex));
  return true;
}

void rwkv6_mutex_lock(rwkv6_mutex *mutex) {
  AcquireSRWLockExclusive(lock_of(mutex));
}

void rwkv6_mutex_unlock(rwkv6_mutex *mutex) {
  ReleaseSRWLockExclusive(lock_of(mutex));
}

void rwkv6_mutex_destroy(rwkv6_mutex *mutex) {
  (void)mutex; /* there is nothing to free */
}

_Static_assert(sizeof(rwkv6_condition) == sizeof(CONDITION_VARIABLE), "rwkv6_condition stands for a CONDITION_VARIABLE");

static CONDITION_VARIABLE *variable_of(rwkv6_condition *condition) {
  return (CONDITION_VARIABLE *)condition;
}

bool rwkv6_condition_init(rwkv6_condition *condition) {
  InitializeConditionVariable(variable_of(condition));
  return true;
}

void rwkv6_condition_wait(rwkv6_condition *condition, rwkv6_mutex *mutex) {
  SleepConditionVariableSRW(variable_of(condition), lock_of(mutex), INFINITE, 0);
}

void rwkv6_condition_wake_all(rwkv6_condition *condition) {
  WakeAllConditionVariable(variable_of(condition));
}

void rwkv6_condition_destroy(rwkv6_condition *condition) {
  (void)condition; /* there is nothing to free */
}

/* A bare name is looked for beside the program and in the system's folders, never in the current one. */
void *rwkv6_library_open(const char *path) {
  const bool bare = !strpbrk(path, "/\\:");
  return LoadLibraryExA(path, NULL, bare ? LOAD_LIBRARY_SEARCH_DEFAULT_DIRS : LOAD_WITH_ALTERED_SEARCH_PATH);
}

const char *rwkv6_library_reason(void) {
  static _Thread_local char reason[256];
  const DWORD code = GetLastError();
  const DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
  DWORD length = FormatMessageA(flags, NULL, code, 0, reason, sizeof reason - 1, NULL);
  while (length && strchr("\r\n .", reason[length - 1])) length--;
  reason[length] = '\0';
  if (!length) snprintf(reason, sizeof reason, "Windows error %lu", (unsigned long)code);
  return reason;
}

void rwkv6_library_close(void *library) {
  FreeLibrary(library);
}

rwkv6_opencl_function rwkv6_library_function(void *library, const char *name) {
  const FARPROC found = GetProcAddress(library, name);
  rwkv6_opencl_function function;
  memcpy(&function, &found, sizeof function);
  return function;
}

void *rwkv6_aligned_alloc(size_t bytes) {
  return bytes > SIZE_MAX - 128 ? NULL : _aligned_malloc(bytes + 1, 64);
}

void rwkv6_aligned_free(void *memory) {
  _aligned_free(memory);
}
