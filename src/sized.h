/* SPDX-License-Identifier: MIT */
/* Structs that begin with their size, as the caller's header knew it, and grow at their end. */
#ifndef RWKV6_SRC_SIZED_H
#define RWKV6_SRC_SIZED_H

#include "error.h"

/*
 * Copies the caller's struct `from`, called `name` in messages, into `to` of `size` bytes, whose size becomes ours. A shorter
 * one (an older header), of at least `least` bytes, leaves the fields that came later at 0, their default. A longer one (a
 * newer header) is refused if a field that we do not know is not 0.
 */
rwkv6_status rwkv6_copy_sized(const void *from, void *to, size_t size, size_t least, const char *name, rwkv6_error *error);

#endif
