/* SPDX-License-Identifier: MIT */
#include "conform/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/golden.h"
#include "conform/repeated.h"
#include "plan.h"
#include "quirks.h"

/* Cases that a variant left out, and why the first of them. */
typedef struct refusals {
  const rwkv6_variant *variant; /* NULL: unused, and so are those after it */
  size_t cases;
  char reason[256];
} refusals;

#define MOST_REFUSING (4 * RWKV6_MAX_VARIANTS)

typedef struct walk {
  rwkv6_device *device;
  const rwkv6_device_info *info;
  const conform_options *options;
  conform_report *report;
  void *user;
  size_t results;
  refusals refused[MOST_REFUSING];
} walk;

static const rwkv6_mode modes[2] = {RWKV6_MODE_RECURRENT, RWKV6_MODE_CHUNK};

static const char *operation_name(rwkv6_operation operation, rwkv6_mode mode, char text[32]) {
  snprintf(text, 32, "%s_%s", rwkv6_mode_name(mode), rwkv6_operation_name(operation));
  return text;
}

static bool wants(const char *wanted, rwkv6_operation operation, rwkv6_mode mode) {
  char name[32];
  return !wanted || !strcmp(wanted, rwkv6_operation_name(operation)) || !strcmp(wanted, operation_name(operation, mode, name));
}

bool conform_is_operation(const char *text) {
  for (int i = 0; i < 4; i++)
    if (wants(text, (rwkv6_operation)(i / 2), modes[i % 2])) return true;
  return false;
}

/* `length` characters of `name` are the name of a variant, of some device. */
static bool is_variant(const rwkv6_variant *const *list, const char *name, size_t length) {
  for (; *list; list++)
    if (strlen((*list)->name) == length && !strncmp((*list)->name, name, length)) return true;
  return false;
}

bool conform_are_variants(const char *list) {
  if (strlen(list) >= CONFORM_VARIANTS_TEXT) return false;
  for (const char *name = list;; name++) {
    const size_t length = strcspn(name, ",");
    if (!is_variant(rwkv6_cpu_variants, name, length) && !is_variant(rwkv6_cl_variants, name, length)) return false;
    name += length;
    if (!*name) return true;
  }
}

/* -------------------------------------------------------------------------------------------------------- a case, all variants
 */

static double work_of(const walk *w) {
  const double work = w->options->extent == CONFORM_QUICK ? CONFORM_WORK : 2 * CONFORM_WORK;
  if (rwkv6_quirk_with(w->info, RWKV6_QUIRK_SIMULATOR)) return work / 1000;
  return rwkv6_quirk_with(w->info, RWKV6_QUIRK_SLOW) ? work / 8 : work;
}

static unsigned checks_of(const walk *w, const conform_case *test) {
  return w->options->one ? CONFORM_CHECK_ALL : conform_checks_of(w->info, test);
}

static void tell(walk *w, const char *operation, const char *variant, const char *text, const char *message,
                 const char *command) {
  const conform_result result = {w->info, operation, variant, text, !*message, message, command};
  w->report(w->user, &result);
  w->results++;
}

static void tell_case(walk *w, const conform_subject *subject, const conform_case *test, const char *message) {
  char text[CONFORM_CASE_TEXT], command[CONFORM_COMMAND_TEXT], operation[32];
  conform_command(subject, test, command, sizeof command);
  tell(w, operation_name(subject->variant->operation, subject->variant->mode, operation), subject->variant->name,
       conform_case_format(test, text), message, command);
}

/* Whether a list with commas, NULL for an empty one, has a name that is `name`, or, if not `whole`, begins so. */
static bool has_name(const char *list, const char *name, bool whole) {
  const size_t length = strlen(name);
  for (; list; list = strchr(list, ',')) {
    if (*list == ',') list++;
    if (!strncmp(list, name, length) && (!whole || strcspn(list, ",") == length)) return true;
  }
  return false;
}

/* No list is all variants. */
static bool is_asked_for(const conform_options *options, const char *variant) {
  return !options->variants || has_name(options->variants, variant, true);
}

/* The command for all variants of an operation that were asked for. */
static void again_with(const walk *w, const char *operation, const char *text, char command[CONFORM_COMMAND_TEXT]) {
  const char *variants = w->options->variants;
  const int length = snprintf(command, CONFORM_COMMAND_TEXT, "rwkv6 conform --device %s --operation %s %s%s%s", w->info->id,
                              operation, variants ? "--variant " : "", variants ? variants : "", variants ? " " : "");
  const size_t size = CONFORM_COMMAND_TEXT - (size_t)length;
  if (w->options->golden)
    snprintf(command + length, size, "--cases %s", w->options->golden);
  else if (w->options->huge)
    snprintf(command + length, size, "--huge");
  else
    snprintf(command + length, size, "--case \"%s\"", text);
}

static bool has_outputs(const conform_values *values) {
  for (int i = 0; i < RWKV6_TENSOR_COUNT; i++)
    if (values->of[i]) return true;
  return false;
}

/* A result of its own, whatever the reference said of the two: the command runs all variants of the operation. */
static void check_agreement(walk *w, const conform_trial *trial, const conform_outcome *first, const conform_outcome *now) {
  char text[CONFORM_CASE_TEXT], command[CONFORM_COMMAND_TEXT];
  conform_message message;
  const char *operation = rwkv6_operation_name(now->variant->operation);
  conform_case_format(&trial->data.test, text);
  again_with(w, operation, text, command);
  const bool right = conform_check_agree(trial, first, now, &message);
  tell(w, operation, "agreement", text, right ? "" : message.text, command);
}

/* `first`: the first variant that had outputs. */
static void check_variant(walk *w, const conform_subject *subject, conform_trial *trial, conform_outcome *first) {
  conform_outcome now = {.variant = subject->variant};
  conform_message message;
  const conform_case *test = &trial->data.test;
  const bool right = conform_check(subject, trial, checks_of(w, test), &now.values, &message);
  tell_case(w, subject, test, right ? "" : message.text);
  if (!has_outputs(&now.values)) return;
  if (first->variant) {
    check_agreement(w, trial, first, &now);
    conform_values_destroy(&now.values);
  } else {
    *first = now;
  }
}

/* A mode that no variant takes is a failure, as each device has a portable one; of a case that somebody made up, or where it
 * was one variant that was asked for, it is left out. */
static void tell_refusals(walk *w, rwkv6_operation operation, rwkv6_mode mode, const rwkv6_variant_info *infos, size_t count,
                          const char *text) {
  char name[32], command[CONFORM_COMMAND_TEXT], message[2048] = "no variant takes it";
  if (w->options->variants) return;
  for (size_t i = 0; i < count; i++) {
    const size_t length = strlen(message);
    snprintf(message + length, sizeof message - length, "; %s: %s", infos[i].name, infos[i].reason);
  }
  operation_name(operation, mode, name);
  if (w->options->one) {
    rwkv6_device_log(w->device, RWKV6_LOG_WARNING, "%s left out: %s", name, message);
    return;
  }
  again_with(w, name, text, command);
  tell(w, name, "none", text, message, command);
}

static void note_refusal(walk *w, const rwkv6_variant *variant, const char *reason) {
  if (!is_asked_for(w->options, variant->name)) return;
  for (size_t i = 0; i < MOST_REFUSING; i++) {
    refusals *refused = &w->refused[i];
    if (refused->variant && refused->variant != variant) continue;
    if (!refused->variant) snprintf(refused->reason, sizeof refused->reason, "%s", reason);
    refused->variant = variant;
    refused->cases++;
    return;
  }
}

static void tell_left_out(const walk *w) {
  char name[32];
  for (size_t i = 0; i < MOST_REFUSING && w->refused[i].variant; i++) {
    const refusals *refused = &w->refused[i];
    rwkv6_device_log(w->device, RWKV6_LOG_WARNING, "%s, variant %s: skipped in %zu cases: %s",
                     operation_name(refused->variant->operation, refused->variant->mode, name), refused->variant->name,
                     refused->cases, refused->reason);
  }
}

static size_t find_in_mode(walk *w, const rwkv6_problem *resolved, rwkv6_operation operation, rwkv6_mode mode, const char *text,
                           const rwkv6_variant **found) {
  rwkv6_variant_info infos[RWKV6_MAX_VARIANTS];
  const rwkv6_variant *variants[RWKV6_MAX_VARIANTS];
  const size_t all = rwkv6_variants_consider(w->device, resolved, operation, mode, infos, variants);
  size_t accepting = 0, count = 0;
  for (size_t i = 0; i < all; i++) {
    if (!infos[i].accepts) {
      note_refusal(w, variants[i], infos[i].reason);
      continue;
    }
    accepting++;
    if (is_asked_for(w->options, variants[i]->name)) found[count++] = variants[i];
  }
  if (!accepting) tell_refusals(w, operation, mode, infos, all, text);
  return count;
}

/* The variants that take a problem, of both modes unless one was asked for. `text` names the case. */
static size_t find_variants(walk *w, const rwkv6_problem *resolved, rwkv6_operation operation, const char *text,
                            const rwkv6_variant *found[2 * RWKV6_MAX_VARIANTS]) {
  size_t count = 0;
  for (int i = 0; i < 2; i++)
    if (wants(w->options->operation, operation, modes[i]))
      count += find_in_mode(w, resolved, operation, modes[i], text, found + count);
  return count;
}

static void check_operation(walk *w, const conform_case *test, rwkv6_operation operation) {
  const rwkv6_variant *variants[2 * RWKV6_MAX_VARIANTS];
  conform_data data;
  char text[CONFORM_CASE_TEXT];
  conform_data_prepare(&data, test, operation);
  const size_t count = find_variants(w, &data.resolved, operation, conform_case_format(test, text), variants);
  if (!count) return;
  conform_trial trial;
  conform_outcome first = {.variant = NULL};
  conform_trial_create(&trial, test, operation);
  for (size_t i = 0; i < count; i++) {
    const conform_subject subject = {w->device, w->info, variants[i]};
    check_variant(w, &subject, &trial, &first);
  }
  conform_values_destroy(&first.values);
  conform_trial_destroy(&trial);
}

static void check_case(walk *w, const conform_case *test) {
  check_operation(w, test, RWKV6_FORWARD);
  if (test->decay != RWKV6_DECAY_FACTOR) check_operation(w, test, RWKV6_BACKWARD);
}

/* ------------------------------------------------------------------------------------------------------------- what there is
 */

static void check_selection(walk *w) {
  const conform_options *options = w->options;
  conform_selected *selected;
  const size_t count = conform_select_cases(options->extent, options->seed, work_of(w), &selected);
  for (size_t i = 0; i < count; i++) {
    if (selected[i].specialization % (size_t)options->parts != (size_t)options->part) continue;
    if (options->has_dtype && selected[i].test.dtype != options->dtype) continue;
    check_case(w, &selected[i].test);
  }
  free(selected);
}

static void tell_golden(walk *w, const conform_subject *subject, const char *name, const char *message) {
  char operation[32], command[2048];
  operation_name(subject->variant->operation, subject->variant->mode, operation);
  snprintf(command, sizeof command, "rwkv6 conform --device %s --operation %s --variant %s --cases %s", w->info->id, operation,
           subject->variant->name, w->options->golden);
  tell(w, operation, subject->variant->name, name, message, command);
}

static void check_golden_operation(walk *w, const char *name, rwkv6_operation operation) {
  conform_golden golden;
  conform_message message;
  rwkv6_error error = RWKV6_ERROR_INIT;
  const rwkv6_variant *variants[2 * RWKV6_MAX_VARIANTS];
  const rwkv6_status status = conform_golden_create(&golden, w->options->golden, name, operation, false, &error);
  const bool has_it = !status && (operation == RWKV6_FORWARD || golden.loaded.backward) &&
                      (!w->options->has_dtype || golden.data.resolved.dtype == w->options->dtype);
  const size_t count = has_it ? find_variants(w, &golden.data.resolved, operation, name, variants) : 0;
  for (size_t i = 0; i < count; i++) {
    const conform_subject subject = {w->device, w->info, variants[i]};
    const bool right = conform_golden_check(&subject, &golden, true, &message) &&
                       (w->info->kind == RWKV6_KIND_CPU || conform_golden_check(&subject, &golden, false, &message));
    tell_golden(w, &subject, name, right ? "" : message.text);
  }
  conform_golden_destroy(&golden);
}

static void check_golden(walk *w) {
  char names[CONFORM_MAX_GOLDEN][64];
  const size_t count = conform_golden_names(w->options->golden, names, CONFORM_MAX_GOLDEN);
  for (size_t i = 0; i < count; i++) {
    check_golden_operation(w, names[i], RWKV6_FORWARD);
    check_golden_operation(w, names[i], RWKV6_BACKWARD);
  }
}

/*
 * Rows by token: sequences of 8191 tokens, so that an offset cut to 32 bits does not fall on the same place of another
 * sequence. States: more sequences, of one token. bf16, as many sequences as make `elements` elements of the tensor that is
 * large.
 */
static conform_case huge_case(bool states, uint64_t seed) {
  conform_case test = conform_case_make(states ? 1 : 8191, 64, 64);
  test.sequences = 3;
  test.heads = 2;
  test.dtype = test.w_dtype = RWKV6_BF16;
  test.seed = seed;
  return test;
}

#define HUGE_ELEMENTS (((int64_t)1 << 31) + ((int64_t)1 << 24))

static void check_huge_variant(walk *w, const rwkv6_variant *variant, const conform_case *test, bool states) {
  const int64_t row = test->heads * (int64_t)test->key_dim * (states ? test->value_dim : test->length);
  const int64_t sequences = HUGE_ELEMENTS / row + 1;
  const conform_subject subject = {w->device, w->info, variant};
  conform_trial trial;
  conform_message message;
  char text[CONFORM_CASE_TEXT + 32], line[CONFORM_CASE_TEXT], operation[32], command[256];
  uint64_t largest, all;
  conform_trial_create(&trial, test, variant->operation);
  conform_repeated_bytes(&trial, sequences, &largest, &all);
  operation_name(variant->operation, variant->mode, operation);
  if (largest > w->info->max_allocation || all > w->info->global_memory) {
    rwkv6_device_log(w->device, RWKV6_LOG_WARNING, "%s left out: needs buffers of %.1f GiB, %.1f GiB in all", operation,
                     (double)largest / 0x1p30, (double)all / 0x1p30);
  } else {
    snprintf(text, sizeof text, "%lld sequences like %s", (long long)sequences, conform_case_format(test, line));
    snprintf(command, sizeof command, "rwkv6 conform --device %s --huge --operation %s --variant %s --seed %llu", w->info->id,
             operation, variant->name, (unsigned long long)w->options->seed);
    const bool right = conform_check_repeated(&subject, &trial, sequences, &message);
    tell(w, operation, variant->name, text, right ? "" : message.text, command);
  }
  conform_trial_destroy(&trial);
}

static void check_huge_case(walk *w, rwkv6_operation operation, bool states) {
  const conform_case test = huge_case(states, w->options->seed);
  const rwkv6_variant *variants[2 * RWKV6_MAX_VARIANTS];
  conform_data data;
  conform_data_prepare(&data, &test, operation);
  const size_t count = find_variants(w, &data.resolved, operation, "huge", variants);
  for (size_t i = 0; i < count; i++) check_huge_variant(w, variants[i], &test, states);
}

static void check_huge(walk *w) {
  if (w->info->kind == RWKV6_KIND_CPU) return;
  check_huge_case(w, RWKV6_FORWARD, false);
  check_huge_case(w, RWKV6_BACKWARD, false);
  check_huge_case(w, RWKV6_FORWARD, true);
  check_huge_case(w, RWKV6_BACKWARD, true);
}

size_t conform_device(rwkv6_device *device, const rwkv6_device_info *info, const conform_options *options,
                      conform_report *report, void *user) {
  walk w = {device, info, options, report, user, 0, {{NULL, 0, ""}}};
  rwkv6_device_emulate_engines(device, has_name(options->variants, "emulated", false)); /* or emulated_..., another engine */
  if (options->golden)
    check_golden(&w);
  else if (options->huge)
    check_huge(&w);
  else if (options->one)
    check_case(&w, options->one);
  else
    check_selection(&w);
  tell_left_out(&w);
  return w.results;
}
