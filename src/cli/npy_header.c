/* SPDX-License-Identifier: MIT */
/* The header of an .npy file is a Python dictionary literal; this reads the three entries it may have and nothing else. */
#include <string.h>

#include "cli/npy.h"
#include "cli/text.h"
#include "error.h"

typedef struct parser {
  const char *path;
  const char *text;
  size_t length;
  size_t at;
  rwkv6_error *error;
} parser;

typedef struct slice {
  const char *start;
  size_t length;
} slice;

/* What is wrong, followed by the place and the text found there. */
static rwkv6_status bad(const parser *p, const char *problem) {
  char quoted[CLI_QUOTE_SIZE];
  cli_quote(quoted, p->text + p->at, p->length - p->at);
  return rwkv6_fail(p->error, RWKV6_INVALID_ARGUMENT, "%s: header of the .npy file: %s, found %s at byte %zu of the header",
                    p->path, problem, quoted, p->at);
}

static void skip_blanks(parser *p) {
  while (p->at < p->length && (p->text[p->at] == ' ' || p->text[p->at] == '\n' || p->text[p->at] == '\t')) ++p->at;
}

static bool take(parser *p, char wanted) {
  skip_blanks(p);
  if (p->at >= p->length || p->text[p->at] != wanted) return false;
  ++p->at;
  return true;
}

static bool take_word(parser *p, const char *word) {
  const size_t length = strlen(word);
  if (p->length - p->at < length || memcmp(p->text + p->at, word, length) != 0) return false;
  p->at += length;
  return true;
}

/* A string without escapes, between ' or ". */
static bool take_string(parser *p, slice *string) {
  skip_blanks(p);
  if (p->at >= p->length || (p->text[p->at] != '\'' && p->text[p->at] != '"')) return false;
  const char quote = p->text[p->at];
  size_t end = p->at + 1;
  while (end < p->length && p->text[end] != quote && p->text[end] != '\\' && p->text[end] != '\n') ++end;
  if (end >= p->length || p->text[end] != quote) return false;
  string->start = p->text + p->at + 1;
  string->length = end - p->at - 1;
  p->at = end + 1;
  return true;
}

static bool equals(slice string, const char *word) {
  return string.length == strlen(word) && memcmp(string.start, word, string.length) == 0;
}

static rwkv6_status parse_descr(parser *p, cli_npy_type type) {
  const char *allowed = type == CLI_NPY_FLOAT32 ? "<f4" : "<i8";
  slice descr = {NULL, 0};
  if (!take_string(p, &descr)) return bad(p, "descr must be a string");
  if (equals(descr, allowed)) return RWKV6_OK;
  char quoted[CLI_QUOTE_SIZE];
  return rwkv6_fail(p->error, RWKV6_INVALID_ARGUMENT, "%s: element type is %s; allowed is \"%s\" (%s)", p->path,
                    cli_quote(quoted, descr.start, descr.length), allowed,
                    type == CLI_NPY_FLOAT32 ? "little-endian float32" : "little-endian int64");
}

static rwkv6_status parse_order(parser *p) {
  skip_blanks(p);
  if (take_word(p, "False")) return RWKV6_OK;
  if (!take_word(p, "True")) return bad(p, "fortran_order must be True or False");
  return rwkv6_fail(p->error, RWKV6_INVALID_ARGUMENT,
                    "%s: fortran_order is True; allowed is False (save numpy.ascontiguousarray(x))", p->path);
}

static bool is_digit(const parser *p) {
  return p->at < p->length && p->text[p->at] >= '0' && p->text[p->at] <= '9';
}

static rwkv6_status parse_size(parser *p, int64_t *size) {
  skip_blanks(p);
  if (!is_digit(p)) return bad(p, "a size of the shape must be a number that is not negative");
  int64_t value = 0;
  for (; is_digit(p); ++p->at) {
    const int digit = p->text[p->at] - '0';
    if (value > (INT64_MAX - digit) / 10) return bad(p, "a size of the shape does not fit 64 bits");
    value = value * 10 + digit;
  }
  *size = value;
  return RWKV6_OK;
}

/* "()", "(5,)", "(5, 3)", "(5, 3,)"; "(5)" is no tuple in Python. */
static rwkv6_status parse_shape(parser *p, cli_npy_shape *shape) {
  if (!take(p, '(')) return bad(p, "shape must be a tuple such as (5, 3)");
  bool comma = true;
  shape->rank = 0;
  while (!take(p, ')')) {
    if (!comma) return bad(p, "sizes of the shape must be separated by commas");
    if (shape->rank == CLI_NPY_MAX_RANK) return bad(p, "shape has more than 8 dimensions");
    const rwkv6_status status = parse_size(p, &shape->size[shape->rank]);
    if (status) return status;
    ++shape->rank;
    comma = take(p, ',');
  }
  if (shape->rank == 1 && !comma) return bad(p, "shape must be a tuple such as (5,)");
  return RWKV6_OK;
}

enum { SEEN_DESCR = 1, SEEN_ORDER = 2, SEEN_SHAPE = 4 };

static unsigned key_bit(slice key) {
  if (equals(key, "descr")) return SEEN_DESCR;
  if (equals(key, "fortran_order")) return SEEN_ORDER;
  if (equals(key, "shape")) return SEEN_SHAPE;
  return 0;
}

static rwkv6_status parse_value(parser *p, unsigned bit, cli_npy_type type, cli_npy_shape *shape) {
  if (bit == SEEN_DESCR) return parse_descr(p, type);
  if (bit == SEEN_ORDER) return parse_order(p);
  return parse_shape(p, shape);
}

static rwkv6_status parse_entry(parser *p, unsigned *seen, cli_npy_type type, cli_npy_shape *shape) {
  slice key = {NULL, 0};
  skip_blanks(p);
  const size_t start = p->at;
  if (!take_string(p, &key)) return bad(p, "a key must be a string");
  const unsigned bit = key_bit(key);
  if (!bit || (*seen & bit)) p->at = start;
  if (!bit) return bad(p, "unknown key; allowed are descr, fortran_order and shape");
  if (*seen & bit) return bad(p, "a key is given twice");
  if (!take(p, ':')) return bad(p, "a colon must follow a key");
  *seen |= bit;
  skip_blanks(p);
  return parse_value(p, bit, type, shape);
}

static rwkv6_status check_complete(const parser *p, unsigned seen) {
  if (!(seen & SEEN_DESCR)) return bad(p, "descr is missing");
  if (!(seen & SEEN_ORDER)) return bad(p, "fortran_order is missing");
  if (!(seen & SEEN_SHAPE)) return bad(p, "shape is missing");
  return RWKV6_OK;
}

static rwkv6_status check_end(parser *p) {
  if (p->length == 0 || p->text[p->length - 1] != '\n') return bad(p, "must end with a newline");
  skip_blanks(p);
  return p->at == p->length ? RWKV6_OK : bad(p, "only blanks may follow the dictionary");
}

rwkv6_status cli_npy_parse_header(const char *path, const char *text, size_t length, cli_npy_type type, cli_npy_shape *shape,
                                  rwkv6_error *error) {
  parser p = {path, text, length, 0, error};
  unsigned seen = 0;
  bool comma = true;
  if (!take(&p, '{')) return bad(&p, "must be a dictionary");
  while (!take(&p, '}')) {
    if (!comma) return bad(&p, "entries must be separated by commas");
    const rwkv6_status status = parse_entry(&p, &seen, type, shape);
    if (status) return status;
    comma = take(&p, ',');
  }
  const rwkv6_status status = check_complete(&p, seen);
  return status ? status : check_end(&p);
}
