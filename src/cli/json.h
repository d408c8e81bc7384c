/* SPDX-License-Identifier: MIT */
/* Building JSON with cJSON: one flag remembers that memory ran out, so that every addition need not be checked. */
#ifndef RWKV6_SRC_CLI_JSON_H
#define RWKV6_SRC_CLI_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "rwkv6/rwkv6.h"

typedef struct cli_json {
  cJSON *root; /* an object; owned */
  bool failed;
} cli_json;

void cli_json_init(cli_json *json);
void cli_json_free(cli_json *json);

/* Prints the document and a newline to stdout; false, with a message on stderr, if it could not be built. */
bool cli_json_print(const cli_json *json);

/* All take a NULL parent, which an earlier failure leaves behind. Infinities and NaN become null. */
void cli_json_string(cli_json *json, cJSON *parent, const char *key, const char *text); /* text NULL: null */
void cli_json_number(cli_json *json, cJSON *parent, const char *key, double number);
void cli_json_bool(cli_json *json, cJSON *parent, const char *key, bool value);
cJSON *cli_json_object(cli_json *json, cJSON *parent, const char *key);
cJSON *cli_json_array(cli_json *json, cJSON *parent, const char *key);
cJSON *cli_json_append(cli_json *json, cJSON *array); /* a new object at the end of an array */

void cli_json_item(cli_json *json, cJSON *array, double number); /* a number at the end of an array */

/* Adds the fields of a device. */
void cli_json_device(cli_json *json, cJSON *parent, const rwkv6_device_info *info);

#endif
