/* SPDX-License-Identifier: MIT */
#include "quirks.h"

#include <ctype.h>
#include <string.h>

static const rwkv6_quirk quirks[] = {
    {"Clover", NULL, NULL, RWKV6_QUIRK_REFUSE,
     "Mesa's Clover is unfinished and no longer developed: kernels come out wrong or end the process; use rusticl",
     "https://github.com/openwall/john/issues/2331"},
    {"Intel Gen OCL Driver", NULL, NULL, RWKV6_QUIRK_REFUSE,
     "Beignet is abandoned and computes some kernels wrong; use Intel's NEO driver",
     "https://github.com/darktable-org/darktable/pull/1381"},
    {"rusticl", NULL, NULL, RWKV6_QUIRK_NOTE,
     "rusticl of Mesa 22.3 reports double the local memory that a kernel takes and runs work-groups above the limit that it "
     "gives",
     "seen here on Mesa 22.3.6; src/opencl/launch.c counts for itself"},
    {"rusticl", "llvmpipe", NULL, RWKV6_QUIRK_SLOW, "llvmpipe is a software renderer, about 15 times slower than plain C",
     "measured here on Mesa 22.3.6"},
    {"rusticl", "llvmpipe", NULL, RWKV6_QUIRK_ENDS_LOOPS,
     "llvmpipe ends the loops of a work-item after 65,535 rounds in all, without a word: launches are short there",
     "seen here on Mesa 22.3.6 (LP_MAX_TGSI_LOOP_ITERATIONS)"},
    {"Portable Computing Language", NULL, "3.1", RWKV6_QUIRK_NOTE,
     "PoCL 3.1 drops the first of two neighbouring loops with one trip at most: kernels put a barrier between them",
     "seen here; cl/chunk_forward.cl"},
    {"Intel(R) OpenCL", NULL, "2026.22.10", RWKV6_QUIRK_NOTE,
     "makes wrong vectors of the work-items of emulated matrix units on fp32: those kernels carry a hint against it",
     "seen here; cl/engine_emulated.h"},
    {"Intel(R) OpenCL", NULL, "2026.22.10", RWKV6_QUIRK_NOTE,
     "its compiler crashes or hangs now and then on kernels with dozens of barriers: emulated products are functions of their "
     "own",
     "seen here; cl/engine_emulated.h"},
    {"Portable Computing Language", NULL, NULL, RWKV6_QUIRK_COMPILES_BY_SIZE,
     "PoCL compiles a kernel at its first launch, and again at the first one of 65,536 work-items or more, which does for all",
     "seen here on PoCL 3.1; docs/cache.md"},
    {"Oclgrind", NULL, NULL, RWKV6_QUIRK_SIMULATOR, "Oclgrind interprets kernels, some thousand times slower than C",
     "measured here on Oclgrind 21.10"},
    {"Intel", "NEO", "19.34", RWKV6_QUIRK_NOTE,
     "sums through local memory come out wrong now and then; earlier drivers are right",
     "https://github.com/intel/compute-runtime/issues/221"},
};

bool rwkv6_contains(const char *text, const char *part) {
  const size_t length = strlen(part);
  for (; strlen(text) >= length; text++) {
    size_t i = 0;
    while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
    if (i == length) return true;
  }
  return false;
}

static bool applies(const rwkv6_quirk *quirk, const rwkv6_device_info *info) {
  return (!quirk->platform || rwkv6_contains(info->platform, quirk->platform)) &&
         (!quirk->name || rwkv6_contains(info->name, quirk->name)) &&
         (!quirk->driver_version || !strncmp(info->driver_version, quirk->driver_version, strlen(quirk->driver_version)));
}

const rwkv6_quirk *rwkv6_quirk_find(const rwkv6_device_info *info, const rwkv6_quirk *after) {
  const rwkv6_quirk *quirk = after ? after + 1 : quirks;
  while (quirk < quirks + sizeof quirks / sizeof *quirks && !applies(quirk, info)) quirk++;
  return quirk < quirks + sizeof quirks / sizeof *quirks ? quirk : NULL;
}

const rwkv6_quirk *rwkv6_quirk_with(const rwkv6_device_info *info, rwkv6_quirk_effect effect) {
  const rwkv6_quirk *quirk = rwkv6_quirk_find(info, NULL);
  while (quirk && quirk->effect != effect) quirk = rwkv6_quirk_find(info, quirk);
  return quirk;
}
