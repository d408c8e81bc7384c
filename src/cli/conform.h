/* SPDX-License-Identifier: MIT */
/* `rwkv6 conform`: its command line and its reports. */
#ifndef RWKV6_SRC_CLI_CONFORM_H
#define RWKV6_SRC_CLI_CONFORM_H

#include <stdio.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "conform/suite.h"

typedef struct cli_conform_options {
  conform_options suite; /* suite.one points to `one` below if --case was given */
  conform_case one;
  const char *device; /* NULL: the default one; "all" */
  bool tap, json, help;
  const char *junit; /* a file */
} cli_conform_options;

/* Reads a command line; what is wrong with it goes to stderr. */
cli_exit cli_conform_parse(int argc, char **argv, cli_conform_options *options);

/* One result, kept for reports that are written at the end. Texts are owned. */
typedef struct cli_conform_record {
  char *operation, *variant, *text, *message, *command;
  bool right;
} cli_conform_record;

/* What a device was found to be. */
typedef struct cli_conform_report {
  const cli_conform_options *options;
  cli_json json; /* of all devices */
  cJSON *devices;
  FILE *junit;   /* NULL: not asked for */
  size_t number; /* of results, over all devices: TAP counts them */
  /* The device that is being checked. */
  const rwkv6_device_info *info;
  cli_conform_record *records;
  size_t count, capacity, failed;
  char *log; /* what the library warned of, build logs of failing programs among it; owned, NULL: nothing */
  double begun;
} cli_conform_report;

/* False, with a message on stderr, if the file of --junit cannot be written. */
bool cli_conform_begin(cli_conform_report *report, const cli_conform_options *options);
void cli_conform_device_begin(cli_conform_report *report, const rwkv6_device_info *info);
/* A conform_report function; `user` is the cli_conform_report. */
void cli_conform_result(void *user, const conform_result *result);
/* A rwkv6_log_callback; `user` is the cli_conform_report. */
void cli_conform_log(void *user, rwkv6_log_level level, const char *message);
void cli_conform_device_end(cli_conform_report *report);
/* False, with a message on stderr, if something could not be written. Frees the report. */
bool cli_conform_end(cli_conform_report *report);

/* JUnit's XML (conform_junit.c). */
void cli_conform_junit_device(cli_conform_report *report, double seconds);

#endif
