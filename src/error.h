/* SPDX-License-Identifier: MIT */
/* Writing into the caller's rwkv6_error. */
#ifndef RWKV6_SRC_ERROR_H
#define RWKV6_SRC_ERROR_H

#include "rwkv6/rwkv6.h"

#if defined(__MINGW32__) && !defined(__clang__) /* where `printf` means that of Windows' own C library, without %zu */
#define RWKV6_PRINTF(text, first) __attribute__((format(gnu_printf, text, first)))
#elif defined(__GNUC__)
#define RWKV6_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define RWKV6_PRINTF(text, first)
#endif

/* Writes status and text into `error` (may be NULL) and returns `status`, so that callers can `return rwkv6_fail(...)`. */
RWKV6_PRINTF(3, 4)
rwkv6_status rwkv6_fail(rwkv6_error *error, rwkv6_status status, const char *format, ...);

/* The same with all that `other` says, for those who do not know at once whether a failure is the caller's. */
rwkv6_status rwkv6_fail_as(rwkv6_error *error, const rwkv6_error *other);

/* Host memory ran out: `bytes` for `what`. */
rwkv6_status rwkv6_fail_memory(rwkv6_error *error, size_t bytes, const char *what);

/* malloc/calloc of count * size bytes with the overflow checked; NULL and a filled error if it cannot be had. count or size of
 * 0 gives a unique pointer. */
void *rwkv6_alloc(size_t count, size_t size, const char *what, rwkv6_error *error);

#endif
