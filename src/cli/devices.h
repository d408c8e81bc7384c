/* SPDX-License-Identifier: MIT */
/* What `rwkv6 devices` knows; gathered by devices.c, printed as text or as JSON. */
#ifndef RWKV6_SRC_CLI_DEVICES_H
#define RWKV6_SRC_CLI_DEVICES_H

#include <stdbool.h>

#include "cli/json.h"

#define CLI_MAX_VARIANTS 16

/* The variants of one operation in one mode, in the order in which a plan considers them. */
typedef struct cli_variant_list {
  rwkv6_operation operation;
  rwkv6_mode mode;
  size_t count;
  rwkv6_variant_info variant[CLI_MAX_VARIANTS];
} cli_variant_list;

typedef struct cli_device_entry {
  rwkv6_device_info info;
  rwkv6_error error;        /* status is not RWKV6_OK: it cannot be opened, and there are no lists */
  char cache_dir[1024];     /* of compiled programs; "": nowhere */
  cli_variant_list list[4]; /* forward recurrent, forward chunk, backward recurrent, backward chunk */
} cli_device_entry;

typedef struct cli_inventory {
  rwkv6_error opencl;        /* why there is no OpenCL; status RWKV6_OK if there is */
  char chosen[32];           /* id of the device that is used without --device */
  rwkv6_error default_error; /* why there is none, which a wrong RWKV6_DEVICE can cause */
  cli_device_entry *device;  /* [count], owned */
  size_t count;
} cli_inventory;

/* The first variant that accepts; NULL: none does. */
const rwkv6_variant_info *cli_chosen_variant(const cli_variant_list *list);

const char *cli_kind_name(rwkv6_device_kind kind); /* "cpu", "opencl-gpu", ... */

/* The lines about one device: what it is, its limits, its known trouble. */
void cli_devices_print_info(const rwkv6_device_info *info);

void cli_devices_print(const cli_inventory *inventory);
void cli_devices_json(const cli_inventory *inventory, cli_json *json);

#endif
