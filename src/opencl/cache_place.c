/* SPDX-License-Identifier: MIT */
/* Where the program cache is. */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "opencl/cache_folder.h"

rwkv6_status rwkv6_cl_cache_choose(const char *wanted, char **cache_dir, rwkv6_error *error) {
  char path[4096];
  *cache_dir = NULL;
  if (!wanted) wanted = getenv("RWKV6_CACHE_DIR");
  if (!wanted) wanted = rwkv6_cache_folder_default(path, sizeof path) ? path : "";
  if (!*wanted || strcmp(wanted, "off") == 0) return RWKV6_OK;
  const size_t size = strlen(wanted) + 1;
  *cache_dir = rwkv6_alloc(size, 1, "the path of the program cache", error);
  if (!*cache_dir) return RWKV6_OUT_OF_MEMORY;
  memcpy(*cache_dir, wanted, size);
  return RWKV6_OK;
}
