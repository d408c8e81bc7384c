/* SPDX-License-Identifier: MIT */
/* All cases of a device: which variants, which specializations, which cases, and what became of each. */
#ifndef RWKV6_SRC_CONFORM_SUITE_H
#define RWKV6_SRC_CONFORM_SUITE_H

#include "conform/check.h"
#include "conform/selection.h"

#define CONFORM_VARIANTS_TEXT 64 /* bytes of a list of variants */

typedef struct conform_options {
  conform_extent extent;
  uint64_t seed;
  /* Restrictions; NULL or false: none. */
  const char *operation; /* "chunk_forward", or of both modes: "forward" */
  const char *variants;  /* names with commas between them; NULL: all */
  bool has_dtype;
  rwkv6_dtype dtype;
  int64_t part, parts; /* each `parts`-th specialization from number `part` on; 0 and 1: all */
  /* In the place of the selection: */
  const conform_case *one; /* one case, every check */
  const char *golden;      /* a folder of golden cases */
  bool huge;               /* tensors of more than 2^31 elements, on OpenCL devices with the memory for them */
} conform_options;

/* One operation by one variant on one case. Texts belong to the caller's device or live as long as the call. */
typedef struct conform_result {
  const rwkv6_device_info *info;
  const char *operation; /* "chunk_forward" */
  const char *variant;   /* "none": no variant takes the case */
  const char *case_text; /* "n=5 t=65 ...", or the name of a golden case */
  bool right;
  const char *message; /* why not; "" */
  const char *command; /* that checks it again */
} conform_result;

typedef void conform_report(void *user, const conform_result *result);

/* Whether `text` names an operation, as conform_options has it. */
bool conform_is_operation(const char *text);
/* Whether it is a list of names, with commas between them, of variants of any device. */
bool conform_are_variants(const char *list);

/* Checks a device and reports every result. Returns how many there were; 0: the restrictions leave nothing. */
size_t conform_device(rwkv6_device *device, const rwkv6_device_info *info, const conform_options *options,
                      conform_report *report, void *user);

#endif
