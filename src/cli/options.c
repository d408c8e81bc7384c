/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/meta.h"
#include "cli/text.h"
#include "error.h"

enum {
  OPTION_OUT = 256,
  OPTION_DEVICE,
  OPTION_MODE,
  OPTION_DTYPE,
  OPTION_PRECISION,
  OPTION_NO_BACKWARD,
  OPTION_JSON,
  OPTION_VERBOSE,
  OPTION_HELP
};

static const struct option devices_options[] = {
    {"json", no_argument, NULL, OPTION_JSON}, {"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0}};

static const struct option run_options[] = {{"out", required_argument, NULL, OPTION_OUT},
                                            {"device", required_argument, NULL, OPTION_DEVICE},
                                            {"mode", required_argument, NULL, OPTION_MODE},
                                            {"dtype", required_argument, NULL, OPTION_DTYPE},
                                            {"precision", required_argument, NULL, OPTION_PRECISION},
                                            {"no-backward", no_argument, NULL, OPTION_NO_BACKWARD},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            {"verbose", no_argument, NULL, OPTION_VERBOSE},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {NULL, 0, NULL, 0}};

static cli_exit usage(const char *command, const char *problem, const char *value) {
  char quoted[CLI_QUOTE_SIZE], message[512];
  snprintf(message, sizeof message, "%s: %s %s\nTry `rwkv6 %s --help`.", command, problem,
           value ? cli_quote(quoted, value, strlen(value)) : "", command);
  cli_complain(message);
  return CLI_EXIT_REFUSED;
}

static cli_exit set_mode(const char *command, const char *text, rwkv6_mode *mode) {
  static const rwkv6_mode modes[] = {RWKV6_MODE_AUTO, RWKV6_MODE_RECURRENT, RWKV6_MODE_CHUNK};
  for (int i = 0; i < 3; ++i) {
    if (strcmp(text, cli_mode_name(modes[i])) != 0) continue;
    *mode = modes[i];
    return CLI_EXIT_OK;
  }
  return usage(command, "--mode must be recurrent, chunk or auto, not", text);
}

static cli_exit set_dtype(const char *command, const char *text, cli_options *options) {
  options->has_dtype = cli_parse_dtype(text, &options->dtype);
  return options->has_dtype ? CLI_EXIT_OK : usage(command, "--dtype must be fp32, fp16 or bf16, not", text);
}

static cli_exit set_precision(const char *command, const char *text, rwkv6_precision *precision) {
  return cli_precision_parse(text, precision) ? CLI_EXIT_OK : usage(command, "--precision must be full or relaxed, not", text);
}

/* An empty name would silently mean the default device. */
static cli_exit set_device(const char *command, const char *text, cli_options *options) {
  options->device = text;
  return *text ? CLI_EXIT_OK : usage(command, "--device needs a name, not", text);
}

/* getopt moves on from a group of short options only at its end, so those are named by optopt. */
static cli_exit unknown_option(char **argv) {
  const char letter[3] = {'-', (char)optopt, '\0'};
  return usage(argv[0], "unknown or ambiguous option", optopt > 0 && optopt < 256 ? letter : argv[optind - 1]);
}

static cli_exit apply(int option, char **argv, cli_options *options) {
  switch (option) {
  case OPTION_OUT: options->out = optarg; return CLI_EXIT_OK;
  case OPTION_DEVICE: return set_device(argv[0], optarg, options);
  case OPTION_MODE: return set_mode(argv[0], optarg, &options->mode);
  case OPTION_DTYPE: return set_dtype(argv[0], optarg, options);
  case OPTION_PRECISION: return set_precision(argv[0], optarg, &options->precision);
  case OPTION_NO_BACKWARD: options->forward_only = true; return CLI_EXIT_OK;
  case OPTION_JSON: options->json = true; return CLI_EXIT_OK;
  case OPTION_VERBOSE: options->verbose = true; return CLI_EXIT_OK;
  case 'h':
  case OPTION_HELP: options->help = true; return CLI_EXIT_OK;
  case 1: options->cases[options->case_count++] = optarg; return CLI_EXIT_OK;
  case ':': return usage(argv[0], "a value is missing after", argv[optind - 1]);
  default: return unknown_option(argv);
  }
}

static cli_exit check(cli_command command, char **argv, const cli_options *options) {
  if (options->help) return CLI_EXIT_OK;
  if (command == CLI_COMMAND_DEVICES) {
    return options->case_count ? usage(argv[0], "takes no argument, but was given", options->cases[0]) : CLI_EXIT_OK;
  }
  if (!options->case_count) return usage(argv[0], "at least one CASE folder is needed", NULL);
  if (!options->out || !*options->out) return usage(argv[0], "--out DIR is needed", NULL);
  return CLI_EXIT_OK;
}

/* The `-` makes getopt hand over other arguments as option 1, in order, whatever POSIXLY_CORRECT says; the `:` leaves messages
 * to us. */
cli_exit cli_options_parse(cli_command command, int argc, char **argv, cli_options *options) {
  const struct option *known = command == CLI_COMMAND_RUN ? run_options : devices_options;
  rwkv6_error error = RWKV6_ERROR_INIT;
  memset(options, 0, sizeof *options);
  options->cases = rwkv6_alloc((size_t)argc, sizeof *options->cases, "the command line", &error);
  if (!options->cases) {
    cli_complain(error.message);
    return CLI_EXIT_FAILED;
  }
  cli_exit result = CLI_EXIT_OK;
  for (int option; !result && (option = getopt_long(argc, argv, "-:h", known, NULL)) != -1;) {
    result = apply(option, argv, options);
  }
  while (!result && optind < argc) options->cases[options->case_count++] = argv[optind++]; /* after -- */
  return result ? result : check(command, argv, options);
}

void cli_options_free(cli_options *options) {
  free(options->cases);
  memset(options, 0, sizeof *options);
}
