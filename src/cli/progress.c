/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* Narrow enough not to wrap: a line that has wrapped cannot be taken back. */
#define WIDTH 78

static int shown; /* columns in use; the tool has one thread */

/* Written over with blanks, so that it needs no terminal control sequences. */
void cli_progress_clear(void) {
  if (!shown) return;
  fprintf(stderr, "\r%*s\r", shown, "");
  fflush(stderr);
  shown = 0;
}

void cli_progress(const char *format, ...) {
  if (!isatty(STDERR_FILENO)) return;
  char line[WIDTH + 1];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  cli_progress_clear();
  fputs(line, stderr);
  fflush(stderr);
  shown = (int)strlen(line);
}

void cli_complain(const char *message) {
  cli_progress_clear();
  fprintf(stderr, "rwkv6: %s\n", message);
}
