/* SPDX-License-Identifier: MIT */
#include "sized.h"

#include <string.h>

rwkv6_status rwkv6_copy_sized(const void *from, void *to, size_t size, size_t least, const char *name, rwkv6_error *error) {
  const unsigned char *bytes = from;
  size_t given;
  memcpy(&given, bytes, sizeof given);
  if (given < least)
    return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s.size is %zu; at least %zu is needed (its initializer sets it)", name,
                      given, least);
  for (size_t i = size; i < given; i++)
    if (bytes[i])
      return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT,
                        "%s.size is %zu and a field beyond byte %zu is set; this library (%s) does not know it", name, given,
                        size, rwkv6_version());
  memset(to, 0, size);
  memcpy(to, from, given < size ? given : size);
  memcpy(to, &size, sizeof size);
  return RWKV6_OK;
}
