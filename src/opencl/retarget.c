/* SPDX-License-Identifier: MIT */
#include "opencl/retarget.h"

#include <stdlib.h>
#include <string.h>

#include "opencl/binary.h"

static const char hidden[] = "//@", target[] = ".target sm_90";

bool rwkv6_cl_has_hidden(const char *source) {
  return strstr(source, hidden) != NULL;
}

static bool begins(const char *text, const char *word) {
  return strncmp(text, word, strlen(word)) == 0;
}

/* From PTX to PTX, a letter longer at most. False: it is not for that target. */
static bool show(char *to, const char *from) {
  bool aimed = false;
  while (*from) {
    if (begins(from, hidden)) {
      from += strlen(hidden);
    } else if (!aimed && begins(from, target)) {
      memcpy(to, target, strlen(target));
      to += strlen(target);
      from += strlen(target);
      *to++ = 'a';
      aimed = true;
    } else {
      *to++ = *from++;
    }
  }
  *to = '\0';
  return aimed;
}

/* The text of a binary, and room for what it becomes. */
typedef struct texts {
  char *from, *to;
} texts;

static rwkv6_status read_texts(const rwkv6_device *device, cl_program program, texts *t, rwkv6_error *error) {
  unsigned char *binary;
  size_t size;
  const rwkv6_status status = rwkv6_cl_binary_get(device->cl, program, &binary, &size, error);
  if (status) return status;
  t->from = rwkv6_alloc(size + 1, 1, "the text of a program", error);
  t->to = t->from ? rwkv6_alloc(size + 2, 1, "the text of a program", error) : NULL;
  if (t->to) memcpy(t->from, binary, size); /* the rest is 0 */
  free(binary);
  return t->to ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
}

rwkv6_status rwkv6_cl_retarget(const rwkv6_device *device, cl_program *program, const char *options, const char *const *names,
                               int count, rwkv6_error *error) {
  texts t = {NULL, NULL};
  rwkv6_status status = read_texts(device, *program, &t, error);
  if (!status && rwkv6_cl_has_hidden(t.from)) {
    cl_program shown = NULL;
    if (show(t.to, t.from))
      shown = rwkv6_cl_binary_load(device->cl, (const unsigned char *)t.to, strlen(t.to) + 1, options, names, count, error);
    else
      rwkv6_fail(error, RWKV6_BUILD_FAILED, "a program with instructions of sm_90a was compiled for something else than sm_90");
    if (shown) device->cl->cl->ReleaseProgram(*program);
    if (shown) *program = shown;
    if (!shown) status = RWKV6_BUILD_FAILED;
  }
  free(t.from);
  free(t.to);
  return status;
}
