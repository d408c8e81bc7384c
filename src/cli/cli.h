/* SPDX-License-Identifier: MIT */
/* The commands of the tool and what they return to the shell. */
#ifndef RWKV6_SRC_CLI_CLI_H
#define RWKV6_SRC_CLI_CLI_H

#include "rwkv6/rwkv6.h"

typedef enum cli_exit {
  CLI_EXIT_OK = 0,
  CLI_EXIT_FAILED = 1,    /* an error above its bar, or a device that failed */
  CLI_EXIT_REFUSED = 2,   /* bad usage, bad input, or something that the device does not offer */
  CLI_EXIT_NO_DEVICE = 77 /* conform: no such device */
} cli_exit;

/* argv[0] is the name of the command. */
cli_exit cli_conform(int argc, char **argv);
cli_exit cli_devices(int argc, char **argv);
cli_exit cli_run(int argc, char **argv);
cli_exit cli_bench(int argc, char **argv);

/* "rwkv6: message" on stderr, in place of a progress line. */
void cli_complain(const char *message);

/* What a failed call of the library means for the exit status. */
cli_exit cli_exit_of(rwkv6_status status);

extern const char cli_help_main[], cli_help_conform[], cli_help_devices[], cli_help_run[], cli_help_bench[];

#endif
