/* SPDX-License-Identifier: MIT */
#include "cli/meta.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "cli/text.h"
#include "error.h"

#define MAX_META_BYTES (1 << 20)
#define MAX_EXACT 9007199254740992.0 /* 2^53: JSON numbers are doubles, larger integers are not exact */

typedef struct fields {
  const char *path;
  const cJSON *root;
  rwkv6_error *error;
} fields;

/* The value of a field that must be there exactly once. */
static rwkv6_status find(const fields *in, const char *name, const cJSON **value) {
  *value = NULL;
  for (const cJSON *item = in->root->child; item; item = item->next) {
    if (!item->string || strcmp(item->string, name) != 0) continue;
    if (*value) return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: \"%s\" is given twice", in->path, name);
    *value = item;
  }
  if (*value) return RWKV6_OK;
  return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: \"%s\" is missing", in->path, name);
}

static const char *type_name(const cJSON *value) {
  if (cJSON_IsString(value)) return "a string";
  if (cJSON_IsNumber(value)) return "a number";
  if (cJSON_IsBool(value)) return "true or false";
  if (cJSON_IsNull(value)) return "null";
  return cJSON_IsArray(value) ? "an array" : "an object";
}

static rwkv6_status wrong_type(const fields *in, const char *name, const cJSON *value, const char *wanted) {
  return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: \"%s\" is %s; it must be %s", in->path, name, type_name(value),
                    wanted);
}

static rwkv6_status read_integer(const fields *in, const char *name, double low, double high, int64_t *result) {
  const cJSON *value;
  const rwkv6_status status = find(in, name, &value);
  if (status) return status;
  if (!cJSON_IsNumber(value)) return wrong_type(in, name, value, "an integer");
  const double number = value->valuedouble;
  if (!(number >= low && number <= high) || number != floor(number)) {
    return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: \"%s\" is %.17g; allowed are integers from %.0f to %.0f",
                      in->path, name, number, low, high);
  }
  *result = (int64_t)number;
  return RWKV6_OK;
}

static rwkv6_status read_dim(const fields *in, const char *name, int32_t *result) {
  int64_t value = 0;
  const rwkv6_status status = read_integer(in, name, 1, RWKV6_MAX_DIM, &value);
  *result = (int32_t)value;
  return status;
}

static rwkv6_status read_scale(const fields *in, double *scale) {
  const cJSON *value;
  const rwkv6_status status = find(in, "scale", &value);
  if (status) return status;
  if (!cJSON_IsNumber(value)) return wrong_type(in, "scale", value, "a number");
  *scale = value->valuedouble;
  if (isfinite(*scale)) return RWKV6_OK;
  return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: \"scale\" is %g; it must be finite", in->path, *scale);
}

static rwkv6_status read_reverse(const fields *in, bool *reverse) {
  const cJSON *value;
  const rwkv6_status status = find(in, "reverse", &value);
  if (status) return status;
  if (!cJSON_IsBool(value)) return wrong_type(in, "reverse", value, "true or false");
  *reverse = cJSON_IsTrue(value);
  return RWKV6_OK;
}

static rwkv6_status read_string(const fields *in, const char *name, const char **text) {
  const cJSON *value;
  const rwkv6_status status = find(in, name, &value);
  if (status) return status;
  if (!cJSON_IsString(value) || !value->valuestring) return wrong_type(in, name, value, "a string");
  *text = value->valuestring;
  return RWKV6_OK;
}

static rwkv6_status unknown_word(const fields *in, const char *name, const char *text, const char *allowed) {
  char quoted[CLI_QUOTE_SIZE];
  return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: \"%s\" is %s; allowed are %s", in->path, name,
                    cli_quote(quoted, text, strlen(text)), allowed);
}

bool cli_parse_dtype(const char *text, rwkv6_dtype *dtype) {
  static const char *const names[] = {"fp32", "fp16", "bf16"};
  for (int i = 0; i < 3; ++i) {
    if (strcmp(text, names[i]) != 0) continue;
    *dtype = (rwkv6_dtype)i;
    return true;
  }
  return false;
}

static rwkv6_status read_dtype(const fields *in, const char *name, rwkv6_dtype *dtype) {
  const char *text = NULL;
  const rwkv6_status status = read_string(in, name, &text);
  if (status) return status;
  return cli_parse_dtype(text, dtype) ? RWKV6_OK : unknown_word(in, name, text, "fp32, fp16 and bf16");
}

static rwkv6_status read_decay(const fields *in, rwkv6_decay *decay) {
  static const rwkv6_decay forms[] = {RWKV6_DECAY_LOG, RWKV6_DECAY_RAW, RWKV6_DECAY_FACTOR};
  const char *text = NULL;
  const rwkv6_status status = read_string(in, "decay", &text);
  if (status) return status;
  for (int i = 0; i < 3; ++i) {
    if (strcmp(text, cli_decay_name(forms[i])) != 0) continue;
    *decay = forms[i];
    return RWKV6_OK;
  }
  return unknown_word(in, "decay", text, "log, raw and factor");
}

static rwkv6_status read_shape(const fields *in, cli_meta *meta) {
  rwkv6_status status = read_integer(in, "tokens", 0, MAX_EXACT, &meta->tokens);
  if (!status) status = read_integer(in, "sequences", 1, MAX_EXACT, &meta->sequences);
  if (!status) status = read_integer(in, "heads", 1, MAX_EXACT, &meta->heads);
  if (!status) status = read_dim(in, "key_dim", &meta->key_dim);
  if (!status) status = read_dim(in, "value_dim", &meta->value_dim);
  return status;
}

static rwkv6_status read_fields(const fields *in, cli_meta *meta) {
  if (!cJSON_IsObject(in->root)) {
    return rwkv6_fail(in->error, RWKV6_INVALID_ARGUMENT, "%s: is %s; it must be an object", in->path, type_name(in->root));
  }
  rwkv6_status status = read_shape(in, meta);
  if (!status) status = read_scale(in, &meta->scale);
  if (!status) status = read_decay(in, &meta->decay);
  if (!status) status = read_dtype(in, "dtype", &meta->dtype);
  if (!status) status = read_dtype(in, "w_dtype", &meta->w_dtype);
  if (!status) status = read_reverse(in, &meta->reverse);
  return status;
}

static rwkv6_status bad_json(const char *path, const char *text, size_t length, const char *at, rwkv6_error *error) {
  char quoted[CLI_QUOTE_SIZE];
  int line = 1;
  for (const char *c = text; c < at; ++c) line += *c == '\n';
  const size_t rest = length - (size_t)(at - text);
  return rwkv6_fail(error, RWKV6_INVALID_ARGUMENT, "%s: not valid JSON in line %d, near %s", path, line,
                    cli_quote(quoted, at, rest));
}

/* The NUL that ends the text is counted as well: the parser then never looks past its buffer. Only blanks may follow. */
static rwkv6_status parse(const char *path, const char *text, size_t length, cli_meta *meta, rwkv6_error *error) {
  const char *end = text;
  cJSON *root = cJSON_ParseWithLengthOpts(text, length + 1, &end, false);
  if (!root) return bad_json(path, text, length, end && end >= text && end <= text + length ? end : text, error);
  while (end < text + length && strchr(" \t\r\n", *end) && *end) ++end;
  rwkv6_status status;
  if (end < text + length) {
    status = bad_json(path, text, length, end, error);
  } else {
    const fields in = {path, root, error};
    status = read_fields(&in, meta);
  }
  cJSON_Delete(root);
  return status;
}

rwkv6_status cli_meta_read(const char *path, cli_meta *meta, rwkv6_error *error) {
  size_t length = 0;
  rwkv6_error failure = RWKV6_ERROR_INIT;
  char *text = cli_file_read(path, MAX_META_BYTES, &length, &failure);
  if (!text) return rwkv6_fail(error, failure.status, "%s", failure.message);
  const rwkv6_status status = parse(path, text, length, meta, error);
  free(text);
  return status;
}
