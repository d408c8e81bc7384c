/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli/bench/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/names.h"
#include "cli/meta.h"
#include "cli/text.h"
#include "error.h"

enum {
  OPTION_DEVICE = 256,
  OPTION_OPERATION,
  OPTION_MODE,
  OPTION_SHAPE,
  OPTION_DTYPE,
  OPTION_DECAY,
  OPTION_PRECISION,
  OPTION_VARIANT,
  OPTION_SUITE,
  OPTION_NO_START,
  OPTION_JSON,
  OPTION_HELP
};

static const struct option known[] = {{"device", required_argument, NULL, OPTION_DEVICE},
                                      {"operation", required_argument, NULL, OPTION_OPERATION},
                                      {"mode", required_argument, NULL, OPTION_MODE},
                                      {"shape", required_argument, NULL, OPTION_SHAPE},
                                      {"dtype", required_argument, NULL, OPTION_DTYPE},
                                      {"decay", required_argument, NULL, OPTION_DECAY},
                                      {"precision", required_argument, NULL, OPTION_PRECISION},
                                      {"variant", required_argument, NULL, OPTION_VARIANT},
                                      {"suite", required_argument, NULL, OPTION_SUITE},
                                      {"no-start", no_argument, NULL, OPTION_NO_START},
                                      {"json", no_argument, NULL, OPTION_JSON},
                                      {"help", no_argument, NULL, OPTION_HELP},
                                      {NULL, 0, NULL, 0}};

static cli_exit usage(const char *problem, const char *value) {
  char quoted[CLI_QUOTE_SIZE], message[512];
  snprintf(message, sizeof message, "bench: %s %s\nTry `rwkv6 bench --help`.", problem,
           value ? cli_quote(quoted, value, strlen(value)) : "");
  cli_complain(message);
  return CLI_EXIT_REFUSED;
}

/* The last one counts. */
static cli_exit set_operation(const char *text, bench_options *options) {
  options->has_operation = false;
  if (strcmp(text, "both") == 0) return CLI_EXIT_OK;
  options->has_operation = bench_operation_parse(text, &options->operation);
  return options->has_operation ? CLI_EXIT_OK : usage("--operation must be forward, backward or both, not", text);
}

/* The last one counts. */
static cli_exit set_mode(const char *text, bench_options *options) {
  options->has_mode = false;
  options->both_modes = strcmp(text, "both") == 0;
  if (options->both_modes) return CLI_EXIT_OK;
  options->has_mode = bench_mode_parse(text, &options->mode);
  return options->has_mode ? CLI_EXIT_OK : usage("--mode must be recurrent, chunk, auto or both, not", text);
}

/* "bf16" or "bf16,w=fp32". */
static cli_exit set_dtype(const char *text, bench_options *options) {
  const size_t length = strcspn(text, ",");
  const char *w = text[length] ? text + length : NULL;
  char word[8] = "";
  if (length < sizeof word) memcpy(word, text, length);
  options->has_dtype = cli_parse_dtype(word, &options->dtype);
  options->w_dtype = options->dtype;
  if (w) options->has_dtype &= strncmp(w, ",w=", 3) == 0 && cli_parse_dtype(w + 3, &options->w_dtype);
  if (!options->has_dtype) return usage("--dtype must be fp32, fp16 or bf16, maybe with ,w=TYPE behind it, not", text);
  if (options->w_dtype == options->dtype || options->w_dtype == RWKV6_FP32) return CLI_EXIT_OK;
  return usage("--dtype: w is stored as r is or in fp32, not", text);
}

/* One word; false if it is none, or the second of its kind in this option. */
static bool add_decay_word(const char *word, bool *has_distribution, bool *has_form, bench_options *options) {
  bool *const has = bench_distribution_parse(word, &options->distribution) ? has_distribution
                    : bench_decay_parse(word, &options->decay)             ? has_form
                                                                           : NULL;
  if (!has || *has) return false;
  *has = true;
  return true;
}

/* "strong", "raw" or "strong,raw". */
static cli_exit set_decay(const char *text, bench_options *options) {
  bool has_distribution = false, has_form = false;
  for (const char *at = text;;) {
    const size_t length = strcspn(at, ",");
    char word[16] = "";
    if (length < sizeof word) memcpy(word, at, length);
    if (!add_decay_word(word, &has_distribution, &has_form, options)) break;
    options->has_distribution |= has_distribution;
    options->has_decay |= has_form;
    if (!at[length]) return CLI_EXIT_OK;
    at += length + 1;
  }
  return usage("--decay must be ordinary, weak, strong, spikes or resets, and log, raw or factor, or two with a comma, not",
               text);
}

static cli_exit set_precision(const char *text, bench_options *options) {
  return cli_precision_parse(text, &options->precision) ? CLI_EXIT_OK : usage("--precision must be full or relaxed, not", text);
}

static cli_exit set_suite(const char *text, bench_options *options) {
  if (strcmp(text, "short") == 0) options->suite = BENCH_SUITE_SHORT;
  if (strcmp(text, "full") == 0) options->suite = BENCH_SUITE_FULL;
  return options->suite ? CLI_EXIT_OK : usage("--suite must be short or full, not", text);
}

static cli_exit add_shape(const char *text, bench_options *options) {
  if (bench_shape_parse(text, &options->shape[options->shapes])) {
    ++options->shapes;
    return CLI_EXIT_OK;
  }
  return usage("--shape must be N,T,H,K,V with numbers from 1, then maybe ,ragged, ,states, ,reverse and ,padded, not", text);
}

static cli_exit set_text(const char *option, const char *text, const char **place) {
  *place = text;
  return *text ? CLI_EXIT_OK : usage(option, text);
}

/* getopt moves on from a group of short options only at its end, so those are named by optopt. */
static cli_exit unknown_option(char **argv) {
  const char letter[3] = {'-', (char)optopt, '\0'};
  return usage("unknown or ambiguous option", optopt > 0 && optopt < 256 ? letter : argv[optind - 1]);
}

static cli_exit apply(int option, char **argv, bench_options *options) {
  switch (option) {
  case OPTION_DEVICE: return set_text("--device needs a name, not", optarg, &options->device);
  case OPTION_OPERATION: return set_operation(optarg, options);
  case OPTION_MODE: return set_mode(optarg, options);
  case OPTION_SHAPE: return add_shape(optarg, options);
  case OPTION_DTYPE: return set_dtype(optarg, options);
  case OPTION_DECAY: return set_decay(optarg, options);
  case OPTION_PRECISION: return set_precision(optarg, options);
  case OPTION_VARIANT: return set_text("--variant needs a name, not", optarg, &options->variant);
  case OPTION_SUITE: return set_suite(optarg, options);
  case OPTION_NO_START: options->no_start = true; return CLI_EXIT_OK;
  case OPTION_JSON: options->json = true; return CLI_EXIT_OK;
  case 'h':
  case OPTION_HELP: options->help = true; return CLI_EXIT_OK;
  case 1: return usage("takes no argument, but was given", optarg);
  case ':': return usage("a value is missing after", argv[optind - 1]);
  default: return unknown_option(argv);
  }
}

/* The `-` makes getopt hand over other arguments as option 1; the `:` leaves messages to us. */
cli_exit bench_options_parse(int argc, char **argv, bench_options *options) {
  rwkv6_error error = RWKV6_ERROR_INIT;
  memset(options, 0, sizeof *options);
  options->shape = rwkv6_alloc((size_t)argc, sizeof *options->shape, "the command line", &error);
  if (!options->shape) {
    cli_complain(error.message);
    return CLI_EXIT_FAILED;
  }
  cli_exit result = CLI_EXIT_OK;
  for (int option; !result && (option = getopt_long(argc, argv, "-:h", known, NULL)) != -1;)
    result = apply(option, argv, options);
  if (!result && optind < argc) result = usage("takes no argument, but was given", argv[optind]);
  if (!result && !options->help && !options->shapes && !options->suite) result = usage("--shape or --suite is needed", NULL);
  return result;
}

void bench_options_free(bench_options *options) {
  free(options->shape);
  memset(options, 0, sizeof *options);
}
