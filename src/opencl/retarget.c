/* SPDX-License-Identifier: MIT */
#include "opencl/retarget.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "opencl/binary.h"

static const char hidden[] = "//@", target[] = ".target sm_90";

bool rwkv6_cl_hides(const char *source, const char *options) {
  return strstr(options, "-DENGINE_") && strstr(source, hidden);
}

static bool begins(const char *text, const char *word) {
  return strncmp(text, word, strlen(word)) == 0;
}

/* Behind the name of the target in the line that sets it; NULL: there is no such line, or it names another one. */
static const char *find_target(const char *ptx) {
  for (const char *line = ptx; line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (begins(line, target) && !isalnum((unsigned char)line[strlen(target)])) return line + strlen(target);
  }
  return NULL;
}

/* Instructions without their comment signs, and an `a` where the name of the target ends. Returns the size. */
static size_t show(char *to, const char *from, size_t size, const char *end_of_target) {
  size_t made = 0;
  for (const char *at = from; at < from + size;) {
    if (at == end_of_target) to[made++] = 'a';
    if (begins(at, hidden))
      at += strlen(hidden);
    else
      to[made++] = *at++;
  }
  return made;
}

/* `ptx` is `size` bytes and a zero. */
static rwkv6_status show_all(const char *ptx, unsigned char **binary, size_t *size, rwkv6_error *error) {
  const char *end_of_target = find_target(ptx);
  if (!end_of_target)
    return rwkv6_fail(error, RWKV6_BUILD_FAILED, "the driver's binary of a program for sm_90a is not PTX with \"%s\"", target);
  if (!strstr(ptx, hidden))
    return rwkv6_fail(error, RWKV6_BUILD_FAILED,
                      "the driver's PTX of a program for sm_90a has lost that target's instructions");
  *binary = rwkv6_alloc(*size + 1, 1, "a program for another target", error);
  if (!*binary) return RWKV6_OUT_OF_MEMORY;
  *size = show((char *)*binary, ptx, *size, end_of_target);
  return RWKV6_OK;
}

rwkv6_status rwkv6_cl_show(const rwkv6_cl_device *device, cl_program program, unsigned char **binary, size_t *size,
                           rwkv6_error *error) {
  unsigned char *built;
  *binary = NULL;
  rwkv6_status status = rwkv6_cl_binary_get(device, program, &built, size, error);
  if (status) return status;
  char *ptx = rwkv6_alloc(*size + 1, 1, "the text of a program", error); /* zeroed */
  if (ptx) memcpy(ptx, built, *size);
  free(built);
  status = ptx ? show_all(ptx, binary, size, error) : RWKV6_OUT_OF_MEMORY;
  free(ptx);
  return status;
}
