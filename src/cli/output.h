/* SPDX-License-Identifier: MIT */
/* Where results go. */
#ifndef RWKV6_SRC_CLI_OUTPUT_H
#define RWKV6_SRC_CLI_OUTPUT_H

#include "cli/execute.h"

/* Makes the folder, parents included, if it is not there, and makes sure that files can be written in it. */
rwkv6_status cli_output_prepare(const char *folder, rwkv6_error *error);

/*
 * Whether the results of a case can go to `out`/`name`: what is there must be a folder that can be written, and not the folder
 * of the case itself, whose reference results they would replace. Makes nothing.
 */
rwkv6_status cli_output_check(const char *out, const char *name, const char *case_folder, rwkv6_error *error);

/* Writes every tensor to `out`/`name`: first all of them under temporary names, then renamed, so that a full disk leaves the
 * results of an earlier run as they were. */
rwkv6_status cli_output_write(const char *out, const cli_case *loaded, const cli_outputs *outputs, rwkv6_error *error);

#endif
