/* SPDX-License-Identifier: MIT */
/* Small helpers for text: quoting untrusted bytes, joining paths, names of enums. */
#ifndef RWKV6_SRC_CLI_TEXT_H
#define RWKV6_SRC_CLI_TEXT_H

#include <stdbool.h>

#include "rwkv6/rwkv6.h"

#define CLI_QUOTE_SIZE 64

/*
 * Writes `length` bytes of untrusted text between quotes into `out`, cut to its size: bytes that are not printable ASCII become
 * \xNN, so a file cannot send control sequences to the terminal. Returns `out`.
 */
const char *cli_quote(char out[CLI_QUOTE_SIZE], const char *text, size_t length);

/* "folder/name"; owned by the caller (free). NULL and a filled error without memory. */
char *cli_join_path(const char *folder, const char *name, rwkv6_error *error);

char *cli_copy_text(const char *text, size_t length, rwkv6_error *error);

const char *cli_mode_name(rwkv6_mode mode);
const char *cli_operation_name(rwkv6_operation operation);
const char *cli_decay_name(rwkv6_decay decay);
const char *cli_precision_name(rwkv6_precision precision);
/* False if the text is none of the names. */
bool cli_precision_parse(const char *text, rwkv6_precision *precision);

#endif
