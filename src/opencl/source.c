/* SPDX-License-Identifier: MIT */
#include "opencl/source.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES 32
#define MAX_FILE_BYTES (1 << 20)

typedef struct expansion {
  char *text;
  size_t length, capacity;
  char seen[MAX_FILES][64];
  size_t files;
  const char *folder; /* NULL: embedded */
  rwkv6_error *error;
} expansion;

static rwkv6_status append(expansion *e, const char *text, size_t length) {
  if (e->length + length + 1 > e->capacity) {
    const size_t capacity = 2 * (e->length + length + 1);
    char *grown = realloc(e->text, capacity);
    if (!grown) return rwkv6_fail_memory(e->error, capacity, "a kernel source");
    e->text = grown;
    e->capacity = capacity;
  }
  memcpy(e->text + e->length, text, length);
  e->length += length;
  e->text[e->length] = '\0';
  return RWKV6_OK;
}

static rwkv6_status read_disk(const expansion *e, const char *name, char **text) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", e->folder, name);
  FILE *file = fopen(path, "rb");
  if (!file) return rwkv6_fail(e->error, RWKV6_BUILD_FAILED, "cannot read kernel file %.1000s (RWKV6_KERNEL_DIR)", path);
  *text = rwkv6_alloc(MAX_FILE_BYTES + 1, 1, "a kernel source", e->error);
  if (*text) (*text)[fread(*text, 1, MAX_FILE_BYTES, file)] = '\0';
  fclose(file);
  return *text ? RWKV6_OK : RWKV6_OUT_OF_MEMORY;
}

static rwkv6_status read_embedded(const expansion *e, const char *name, char **text) {
  const rwkv6_cl_file *file = rwkv6_cl_files;
  while (file->name && strcmp(file->name, name) != 0) file++;
  if (!file->name) return rwkv6_fail(e->error, RWKV6_BUILD_FAILED, "kernel file %s is not in the library", name);
  const size_t size = strlen(file->text) + 1;
  *text = rwkv6_alloc(size, 1, "a kernel source", e->error);
  if (!*text) return RWKV6_OUT_OF_MEMORY;
  memcpy(*text, file->text, size);
  return RWKV6_OK;
}

static bool seen(expansion *e, const char *name) {
  for (size_t i = 0; i < e->files; i++)
    if (strcmp(e->seen[i], name) == 0) return true;
  if (e->files < MAX_FILES) snprintf(e->seen[e->files++], sizeof e->seen[0], "%s", name);
  return false;
}

static rwkv6_status expand(expansion *e, const char *name);

/* A line `#include "name"` is replaced, every other one copied with its end. */
static rwkv6_status expand_line(expansion *e, const char *line, size_t length) {
  static const char include[] = "#include \"";
  char name[64];
  if (strncmp(line, include, sizeof include - 1) != 0) return append(e, line, length);
  line += sizeof include - 1;
  const size_t name_length = strcspn(line, "\"\n");
  if (line[name_length] != '"' || name_length >= sizeof name)
    return rwkv6_fail(e->error, RWKV6_BUILD_FAILED, "a kernel file has #include \"%.100s", line);
  memcpy(name, line, name_length);
  name[name_length] = '\0';
  return expand(e, name);
}

static rwkv6_status expand(expansion *e, const char *name) {
  if (seen(e, name)) return RWKV6_OK;
  char *text;
  rwkv6_status status = e->folder ? read_disk(e, name, &text) : read_embedded(e, name, &text);
  if (status) return status;
  for (const char *line = text; *line && !status;) {
    const char *end = strchr(line, '\n');
    const size_t length = end ? (size_t)(end - line) + 1 : strlen(line);
    status = expand_line(e, line, length);
    line += length;
  }
  free(text);
  return status;
}

rwkv6_status rwkv6_cl_source(const char *file, char **text, rwkv6_error *error) {
  expansion e = {.folder = getenv("RWKV6_KERNEL_DIR"), .error = error};
  if (e.folder && !*e.folder) e.folder = NULL;
  rwkv6_status status = expand(&e, file);
  if (!status && !e.length) status = rwkv6_fail(error, RWKV6_BUILD_FAILED, "kernel file %.1000s is empty", file);
  if (status)
    free(e.text);
  else
    *text = e.text;
  return status;
}
