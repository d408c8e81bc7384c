/* SPDX-License-Identifier: MIT */
#include "rwkv6/rwkv6.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *rwkv6_version(void) {
  return TEXT(RWKV6_VERSION_MAJOR) "." TEXT(RWKV6_VERSION_MINOR) "." TEXT(RWKV6_VERSION_PATCH);
}
