/* SPDX-License-Identifier: MIT */
/*
 * Drivers with known trouble: the one place besides a variant's own `supports` that looks at names. How to add one:
 * CONTRIBUTING.md, "A quirk".
 */
#ifndef RWKV6_SRC_QUIRKS_H
#define RWKV6_SRC_QUIRKS_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

typedef enum rwkv6_quirk_effect {
  RWKV6_QUIRK_NOTE,             /* `rwkv6 devices` and reports of `rwkv6 conform` tell it, nothing else */
  RWKV6_QUIRK_REFUSE,           /* no variant takes a problem there, and it is never the default device */
  RWKV6_QUIRK_SLOW,             /* tests take smaller cases */
  RWKV6_QUIRK_COMPILES_BY_SIZE, /* first launches are large ones */
  RWKV6_QUIRK_ENDS_LOOPS,       /* launches take as few steps as they can */
  RWKV6_QUIRK_SIMULATOR         /* thousands of times slower than a device: tests take tiny cases and run each once */
} rwkv6_quirk_effect;

typedef struct rwkv6_quirk {
  /* Parts of the names that the driver gives, upper and lower case alike; of the driver version, its beginning. NULL: any. */
  const char *platform, *name, *driver_version;
  rwkv6_quirk_effect effect;
  const char *reason;
  const char *source; /* where that is known from */
} rwkv6_quirk;

/* The quirks of a device, one after the other: `after` is NULL first, then the last one found. NULL: no more. */
const rwkv6_quirk *rwkv6_quirk_find(const rwkv6_device_info *info, const rwkv6_quirk *after);

/* The first quirk with this effect, or NULL. */
const rwkv6_quirk *rwkv6_quirk_with(const rwkv6_device_info *info, rwkv6_quirk_effect effect);

/* Whether `text` contains `part`, upper and lower case alike. */
bool rwkv6_contains(const char *text, const char *part);

#endif
