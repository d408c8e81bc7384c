/* SPDX-License-Identifier: MIT */
#include "conform/memory.h"

#include <stdio.h>
#include <stdlib.h>

void *conform_allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (memory) return memory;
  fprintf(stderr, "no memory for %zu elements of %zu bytes\n", count, size);
  exit(2); /* not 1: nothing was found wrong */
}
