/* SPDX-License-Identifier: MIT */
/* One line on stderr that says what is going on, if stderr is a terminal. */
#ifndef RWKV6_SRC_CLI_PROGRESS_H
#define RWKV6_SRC_CLI_PROGRESS_H

#include "error.h"

/* Replaces the line. */
RWKV6_PRINTF(1, 2)
void cli_progress(const char *format, ...);

/* Takes the line away; call it before anything else is printed. */
void cli_progress_clear(void);

#endif
