/* SPDX-License-Identifier: MIT */
/* Command lines. */
#ifndef RWKV6_SRC_CLI_OPTIONS_H
#define RWKV6_SRC_CLI_OPTIONS_H

#include <stdbool.h>

#include "cli/cli.h"

typedef struct cli_options {
  bool help;
  bool json;
  bool verbose;
  bool forward_only;
  bool has_dtype;
  rwkv6_dtype dtype; /* if has_dtype */
  rwkv6_mode mode;
  rwkv6_precision precision;
  const char *device; /* NULL: not given */
  const char *out;
  const char **cases; /* [case_count], the array is owned, its texts are argv's */
  size_t case_count;
} cli_options;

/* What a command takes beside --json and --help. */
typedef enum cli_command { CLI_COMMAND_DEVICES, CLI_COMMAND_RUN } cli_command;

/* Reads a command line (argv[0] is the command); what is wrong with it goes to stderr. Free with cli_options_free always. */
cli_exit cli_options_parse(cli_command command, int argc, char **argv, cli_options *options);

void cli_options_free(cli_options *options);

#endif
