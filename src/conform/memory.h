/* SPDX-License-Identifier: MIT */
#ifndef RWKV6_SRC_CONFORM_MEMORY_H
#define RWKV6_SRC_CONFORM_MEMORY_H

#include <stddef.h>

/* count * size bytes, zeroed; ends the process with a message if there are none. A unique pointer for 0 bytes. */
void *conform_allocate(size_t count, size_t size);

#endif
