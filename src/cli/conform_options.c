/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/conform.h"
#include "cli/meta.h"
#include "cli/text.h"

enum {
  OPTION_DEVICE = 256,
  OPTION_QUICK,
  OPTION_FULL,
  OPTION_OPERATION,
  OPTION_VARIANT,
  OPTION_DTYPE,
  OPTION_CASES,
  OPTION_CASE,
  OPTION_SEED,
  OPTION_PART,
  OPTION_HUGE,
  OPTION_TAP,
  OPTION_JSON,
  OPTION_JUNIT,
  OPTION_HELP
};

static const struct option known[] = {{"device", required_argument, NULL, OPTION_DEVICE},
                                      {"quick", no_argument, NULL, OPTION_QUICK},
                                      {"full", no_argument, NULL, OPTION_FULL},
                                      {"operation", required_argument, NULL, OPTION_OPERATION},
                                      {"variant", required_argument, NULL, OPTION_VARIANT},
                                      {"dtype", required_argument, NULL, OPTION_DTYPE},
                                      {"cases", required_argument, NULL, OPTION_CASES},
                                      {"case", required_argument, NULL, OPTION_CASE},
                                      {"seed", required_argument, NULL, OPTION_SEED},
                                      {"part", required_argument, NULL, OPTION_PART},
                                      {"huge", no_argument, NULL, OPTION_HUGE},
                                      {"tap", no_argument, NULL, OPTION_TAP},
                                      {"json", no_argument, NULL, OPTION_JSON},
                                      {"junit", required_argument, NULL, OPTION_JUNIT},
                                      {"help", no_argument, NULL, OPTION_HELP},
                                      {NULL, 0, NULL, 0}};

static cli_exit usage(const char *problem, const char *value) {
  char quoted[CLI_QUOTE_SIZE], message[512];
  snprintf(message, sizeof message, "conform: %s %s\nTry `rwkv6 conform --help`.", problem,
           value ? cli_quote(quoted, value, strlen(value)) : "");
  cli_complain(message);
  return CLI_EXIT_REFUSED;
}

static cli_exit set_seed(const char *text, uint64_t *seed) {
  return conform_seed_parse(text, seed) ? CLI_EXIT_OK : usage("--seed must be a number from 0 to 2^64 - 1, not", text);
}

/* "2/4": the second of four parts. */
static cli_exit set_part(const char *text, conform_options *suite) {
  char *slash, *end = NULL;
  const long part = strtol(text, &slash, 10);
  const long parts = *slash == '/' ? strtol(slash + 1, &end, 10) : 0;
  if (slash == text || !end || *end || part < 1 || part > parts || parts > CONFORM_ALL_SPECIALIZATIONS)
    return usage("--part must be like 1/4 .. 4/4, not", text);
  suite->part = part - 1;
  suite->parts = parts;
  return CLI_EXIT_OK;
}

static cli_exit set_dtype(const char *text, conform_options *suite) {
  suite->has_dtype = cli_parse_dtype(text, &suite->dtype);
  return suite->has_dtype ? CLI_EXIT_OK : usage("--dtype must be fp32, fp16 or bf16, not", text);
}

static cli_exit set_operation(const char *text, conform_options *suite) {
  suite->operation = text;
  if (conform_is_operation(text)) return CLI_EXIT_OK;
  return usage("--operation must be recurrent_forward, chunk_forward, recurrent_backward, chunk_backward, forward or backward, "
               "not",
               text);
}

static cli_exit set_case(const char *text, cli_conform_options *options) {
  char wrong[64];
  options->one = conform_case_make(1, 1, 1);
  options->suite.one = &options->one;
  return conform_case_parse(text, &options->one, wrong) ? CLI_EXIT_OK : usage("--case: not understood:", wrong);
}

static cli_exit set_named(const char *problem, const char **to, const char *text) {
  *to = text;
  return *text ? CLI_EXIT_OK : usage(problem, text);
}

static cli_exit set_variants(const char *text, conform_options *suite) {
  suite->variants = text;
  return conform_are_variants(text) ? CLI_EXIT_OK
                                    : usage("--variant must be names of variants with commas between them, not", text);
}

static cli_exit apply(int option, char **argv, cli_conform_options *options) {
  conform_options *suite = &options->suite;
  switch (option) {
  case OPTION_DEVICE: return set_named("--device needs a name, not", &options->device, optarg);
  case OPTION_QUICK: suite->extent = CONFORM_QUICK; return CLI_EXIT_OK;
  case OPTION_FULL: suite->extent = CONFORM_FULL; return CLI_EXIT_OK;
  case OPTION_OPERATION: return set_operation(optarg, suite);
  case OPTION_VARIANT: return set_variants(optarg, suite);
  case OPTION_DTYPE: return set_dtype(optarg, suite);
  case OPTION_CASES: return set_named("--cases needs a folder, not", &suite->golden, optarg);
  case OPTION_CASE: return set_case(optarg, options);
  case OPTION_SEED: return set_seed(optarg, &suite->seed);
  case OPTION_PART: return set_part(optarg, suite);
  case OPTION_HUGE: suite->huge = true; return CLI_EXIT_OK;
  case OPTION_TAP: options->tap = true; return CLI_EXIT_OK;
  case OPTION_JSON: options->json = true; return CLI_EXIT_OK;
  case OPTION_JUNIT: return set_named("--junit needs a file, not", &options->junit, optarg);
  case 'h':
  case OPTION_HELP: options->help = true; return CLI_EXIT_OK;
  case ':': return usage("a value is missing after", argv[optind - 1]);
  default: return usage("unknown or ambiguous option", argv[optind - 1]);
  }
}

static cli_exit check(const cli_conform_options *options) {
  if (options->tap && options->json) return usage("--tap and --json both want stdout", NULL);
  if ((options->suite.one != NULL) + (options->suite.golden != NULL) + options->suite.huge > 1)
    return usage("--case, --cases and --huge exclude each other", NULL);
  return CLI_EXIT_OK;
}

cli_exit cli_conform_parse(int argc, char **argv, cli_conform_options *options) {
  memset(options, 0, sizeof *options);
  options->suite.extent = CONFORM_PAIRWISE;
  options->suite.parts = 1;
  options->suite.seed = (uint64_t)time(NULL);
  cli_exit result = CLI_EXIT_OK;
  for (int option; !result && (option = getopt_long(argc, argv, "+:h", known, NULL)) != -1;)
    result = apply(option, argv, options);
  if (!result && optind < argc) result = usage("takes no argument, but was given", argv[optind]);
  return result || options->help ? result : check(options);
}
