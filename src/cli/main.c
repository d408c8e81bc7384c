/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"

cli_exit cli_exit_of(rwkv6_status status) {
  switch (status) {
  case RWKV6_OK: return CLI_EXIT_OK;
  case RWKV6_INVALID_ARGUMENT:
  case RWKV6_UNSUPPORTED:
  case RWKV6_NO_DEVICE: return CLI_EXIT_REFUSED;
  default: return CLI_EXIT_FAILED;
  }
}

static cli_exit unknown_command(const char *command) {
  char quoted[CLI_QUOTE_SIZE], message[256];
  snprintf(message, sizeof message, "unknown command %s; there are devices, run, conform and bench\nTry `rwkv6 --help`.",
           cli_quote(quoted, command, strlen(command)));
  cli_complain(message);
  return CLI_EXIT_REFUSED;
}

static cli_exit dispatch(int argc, char **argv) {
  if (argc < 2) {
    fputs(cli_help_main, stderr);
    return CLI_EXIT_REFUSED;
  }
  const char *command = argv[1];
  if (!strcmp(command, "conform")) return cli_conform(argc - 1, argv + 1);
  if (!strcmp(command, "devices")) return cli_devices(argc - 1, argv + 1);
  if (!strcmp(command, "run")) return cli_run(argc - 1, argv + 1);
  if (!strcmp(command, "bench")) return cli_bench(argc - 1, argv + 1);
  if (!strcmp(command, "--help") || !strcmp(command, "-h") || !strcmp(command, "help")) {
    fputs(cli_help_main, stdout);
    return CLI_EXIT_OK;
  }
  if (!strcmp(command, "--version")) {
    printf("rwkv6 %s\n", rwkv6_version());
    return CLI_EXIT_OK;
  }
  return unknown_command(command);
}

/* A full disk or a closed pipe shows when the last of the output is handed on. */
int main(int argc, char **argv) {
  const cli_exit result = dispatch(argc, argv);
  if (fflush(stdout) == 0 && !ferror(stdout)) return (int)result;
  char message[256];
  snprintf(message, sizeof message, "cannot write to stdout: %s", strerror(errno));
  cli_complain(message);
  return result ? (int)result : CLI_EXIT_FAILED;
}
