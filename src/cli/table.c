/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <stdio.h>
#include <string.h>

#include "cli/text.h"

static const rwkv6_tensor_id columns[] = {
    RWKV6_TENSOR_O,  RWKV6_TENSOR_FINAL_STATE, RWKV6_TENSOR_DR, RWKV6_TENSOR_DK,
    RWKV6_TENSOR_DV, RWKV6_TENSOR_DW,          RWKV6_TENSOR_DU, RWKV6_TENSOR_DINITIAL_STATE};
static const char *const headings[] = {"o", "state", "dr", "dk", "dv", "dw", "du", "dstate"};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

void cli_table_head(const cli_report *report) {
  printf("relative error of each tensor (state: final_state, dstate: dinitial_state), times in milliseconds\n"
         "ref: compared with the case's own reference, or with a computation in double precision\n\n");
  printf("%-*s  %-9s  %-9s  %-8s  %8s  %8s  %-6s ", report->name_width, "case", "device", "mode", "variant", "forward",
         "backward", "ref");
  for (int i = 0; i < COLUMNS; ++i) printf(" %-8s", headings[i]);
  printf(" result\n");
}

/* "scalar", or "scalar+tiled" where backward took another one than forward. */
static void print_pair(int width, const char *forward, const char *backward) {
  char text[64];
  snprintf(text, sizeof text, "%s", forward ? forward : "-");
  if (backward && forward && strcmp(forward, backward) != 0) snprintf(text, sizeof text, "%s+%s", forward, backward);
  printf("  %-*s", width, text);
}

static void print_operations(const cli_operation_result *forward, const cli_operation_result *backward) {
  print_pair(9, forward->done ? cli_mode_name(forward->mode) : NULL, backward->done ? cli_mode_name(backward->mode) : NULL);
  print_pair(8, forward->done ? forward->variant : NULL, backward->done ? backward->variant : NULL);
  const cli_operation_result *const both[] = {forward, backward};
  for (int i = 0; i < 2; ++i) {
    if (both[i]->done) {
      printf("  %8.3f", 1e3 * both[i]->seconds);
    } else {
      printf("  %8s", "-");
    }
  }
}

static const char *reference_name(const cli_case_result *result) {
  bool from_case = false, computed = false;
  for (int id = 0; id < RWKV6_TENSOR_COUNT; ++id) {
    if (result->tensor[id].present) *(result->tensor[id].from_case ? &from_case : &computed) = true;
  }
  if (from_case) return computed ? "mixed" : "case";
  return computed ? "double" : "-";
}

static void print_error(const cli_tensor_result *tensor) {
  char text[32] = "-";
  if (tensor->present) {
    snprintf(text, sizeof text, "%.1e%s", tensor->comparison.error, tensor->comparison.pass ? "" : "!");
  }
  printf(" %-8s", text);
}

static void print_failure(rwkv6_tensor_id id, const cli_tensor_result *tensor) {
  if (!tensor->present || tensor->comparison.pass) return;
  printf("  %s: error %.3e, allowed is at most %.3e (against %s)%s\n", rwkv6_tensor_table[id].name, tensor->comparison.error,
         tensor->comparison.allowed, tensor->from_case ? "the case's reference" : "the double reference",
         tensor->comparison.all_zero ? "; zero everywhere, which the reference is not" : "");
}

static const char *verdict(cli_exit outcome) {
  return outcome == CLI_EXIT_OK ? "pass" : outcome == CLI_EXIT_FAILED ? "FAIL" : "refused";
}

void cli_table_case(const cli_report *report, const cli_case_result *result) {
  printf("%-*s  %-9s", report->name_width, result->name, report->device);
  print_operations(&result->operation[RWKV6_FORWARD], &result->operation[RWKV6_BACKWARD]);
  printf("  %-6s ", reference_name(result));
  for (int i = 0; i < COLUMNS; ++i) print_error(&result->tensor[columns[i]]);
  printf(" %s\n", verdict(result->outcome));
  for (int i = 0; i < COLUMNS; ++i) print_failure(columns[i], &result->tensor[columns[i]]);
}
