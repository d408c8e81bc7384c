/* SPDX-License-Identifier: MIT */
/* Asserting that a call was refused and that its message helps: it names the argument and the value. */
#ifndef RWKV6_TESTS_UNIT_REFUSAL_H
#define RWKV6_TESTS_UNIT_REFUSAL_H

#include <stdbool.h>
#include <string.h>

#include "cmocka_all.h"
#include "rwkv6/rwkv6.h"

static inline void check_refusal(rwkv6_status status, const rwkv6_error *error, rwkv6_status expected, const char *argument,
                                 const char *value) {
  if (status != expected)
    fail_msg("status is %s, expected %s, for %s = %s (message: %s)", rwkv6_status_name(status), rwkv6_status_name(expected),
             argument, value, error->message);
  if (error->status != status) fail_msg("error.status is %s", rwkv6_status_name(error->status));
  if (!strstr(error->message, argument)) fail_msg("message does not name %s: %s", argument, error->message);
  if (!strstr(error->message, value)) fail_msg("message does not have the value %s: %s", value, error->message);
}

#endif
