/* JSON (RFC 8259): trees of values that are never freed, since the sandbox goes with its step. */
#include "wflo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deeper nesting is no JSON here: a tree is read and written by recursion. */
#define DEEPEST 256

struct wflo_json {
  wflo_json_kind kind;
  bool boolean;
  const char *text; /* of a string, and the digits of a number */
  size_t size;      /* of the members */
  size_t room;
  const char **names;
  const wflo_json **members;
};

static void *made(size_t size) {
  void *memory = calloc(1, size == 0 ? 1 : size);
  if (memory == NULL) abort();
  return memory;
}

static wflo_json *value_of(wflo_json_kind kind) {
  wflo_json *value = made(sizeof *value);
  value->kind = kind;
  return value;
}

static const char *copied(const char *text, size_t size) {
  char *copy = made(size + 1);
  memcpy(copy, text, size);
  return copy;
}

wflo_json *wflo_json_null(void) { return value_of(WFLO_JSON_NULL); }

wflo_json *wflo_json_boolean(bool boolean) {
  wflo_json *value = value_of(WFLO_JSON_BOOLEAN);
  value->boolean = boolean;
  return value;
}

static wflo_json *number(const char *digits) {
  wflo_json *value = value_of(WFLO_JSON_NUMBER);
  value->text = copied(digits, strlen(digits));
  return value;
}

wflo_json *wflo_json_integer(int64_t integer) {
  char digits[24];
  snprintf(digits, sizeof digits, "%lld", (long long)integer);
  return number(digits);
}

wflo_json *wflo_json_real(double real) {
  /* What is no number has no form in JSON. */
  if (real != real || real - real != 0) return wflo_json_null();
  char digits[40];
  for (int precision = 15; precision <= 17; precision++) {
    snprintf(digits, sizeof digits, "%.*g", precision, real);
    if (strtod(digits, NULL) == real) break;
  }
  return number(digits);
}

wflo_json *wflo_json_string(const char *text) {
  if (text == NULL) return wflo_json_null();
  wflo_json *value = value_of(WFLO_JSON_STRING);
  value->text = copied(text, strlen(text));
  return value;
}

wflo_json *wflo_json_array(void) { return value_of(WFLO_JSON_ARRAY); }
wflo_json *wflo_json_object(void) { return value_of(WFLO_JSON_OBJECT); }

static void add(wflo_json *to, const char *name, const wflo_json *value) {
  if (to->size == to->room) {
    to->room = to->room == 0 ? 4 : 2 * to->room;
    to->members = realloc(to->members, to->room * sizeof *to->members);
    to->names = realloc(to->names, to->room * sizeof *to->names);
    if (to->members == NULL || to->names == NULL) abort();
  }
  to->names[to->size] = name;
  to->members[to->size++] = value;
}

wflo_json *wflo_json_push(wflo_json *array, const wflo_json *value) {
  if (array != NULL && array->kind == WFLO_JSON_ARRAY) add(array, NULL, value == NULL ? wflo_json_null() : value);
  return array;
}

wflo_json *wflo_json_set(wflo_json *object, const char *name, const wflo_json *value) {
  if (object == NULL || object->kind != WFLO_JSON_OBJECT) return object;
  if (value == NULL) value = wflo_json_null();
  for (size_t at = 0; at < object->size; at++) {
    if (strcmp(object->names[at], name) == 0) {
      object->members[at] = value;
      return object;
    }
  }
  add(object, copied(name, strlen(name)), value);
  return object;
}

wflo_json_kind wflo_json_kind_of(const wflo_json *value) { return value == NULL ? WFLO_JSON_NULL : value->kind; }
size_t wflo_json_size(const wflo_json *value) { return value == NULL ? 0 : value->size; }

const wflo_json *wflo_json_at(const wflo_json *array, size_t index) {
  return index < wflo_json_size(array) ? array->members[index] : NULL;
}

const char *wflo_json_name(const wflo_json *object, size_t index) {
  return index < wflo_json_size(object) ? object->names[index] : NULL;
}

const wflo_json *wflo_json_get(const wflo_json *object, const char *name) {
  if (wflo_json_kind_of(object) != WFLO_JSON_OBJECT) return NULL;
  for (size_t at = 0; at < object->size; at++) {
    if (strcmp(object->names[at], name) == 0) return object->members[at];
  }
  return NULL;
}

const char *wflo_json_text(const wflo_json *value) {
  return wflo_json_kind_of(value) == WFLO_JSON_STRING ? value->text : NULL;
}

static bool is_digit(char it) { return it >= '0' && it <= '9'; }

/* Reads the digits themselves, each by its place: a double would round them. */
bool wflo_json_whole(const wflo_json *value, int64_t *integer) {
  if (wflo_json_kind_of(value) != WFLO_JSON_NUMBER) return false;
  const char *text = value->text;
  bool negative = *text == '-';
  if (negative) text++;
  size_t size = strcspn(text, "eE");
  const char *point = memchr(text, '.', size);
  /* No text is so long that a power beyond these could be made up for. */
  const int64_t most = INT64_C(1) << 40;
  long long power = text[size] == 0 ? 0 : strtoll(text + size + 1, NULL, 10);
  power = power > most ? most : power < -most ? -most : power;
  power += (point == NULL ? (int64_t)size : (int64_t)(point - text)) - 1;
  uint64_t sum = 0;
  for (size_t at = 0; at < size; at++) {
    if (!is_digit(text[at])) continue;
    uint64_t part = (uint64_t)(text[at] - '0');
    if (part != 0) {
      if (power < 0 || power > 18) return false;
      for (long long times = 0; times < power; times++) part *= 10;
      if (part > UINT64_MAX - sum) return false;
      sum += part;
    }
    power--;
  }
  if (sum > (uint64_t)INT64_MAX + negative) return false;
  if (integer != NULL) *integer = negative ? (int64_t)(0 - sum) : (int64_t)sum;
  return true;
}

int64_t wflo_json_to_integer(const wflo_json *value) {
  int64_t integer;
  return wflo_json_whole(value, &integer) ? integer : 0;
}

double wflo_json_to_real(const wflo_json *value) {
  return wflo_json_kind_of(value) == WFLO_JSON_NUMBER ? strtod(value->text, NULL) : 0;
}

bool wflo_json_to_boolean(const wflo_json *value) {
  return wflo_json_kind_of(value) == WFLO_JSON_BOOLEAN && value->boolean;
}

/* ---- Writing ---- */

typedef struct {
  char *text;
  size_t size, room;
} buffer;

static void append(buffer *to, const char *text, size_t size) {
  if (to->size + size + 1 > to->room) {
    to->room = 2 * (to->size + size + 1);
    to->text = realloc(to->text, to->room);
    if (to->text == NULL) abort();
  }
  memcpy(to->text + to->size, text, size);
  to->size += size;
  to->text[to->size] = 0;
}

static void append_string(buffer *to, const char *text) {
  append(to, "\"", 1);
  while (*text != 0) {
    size_t plain = 0;
    while ((unsigned char)text[plain] >= 0x20 && text[plain] != '"' && text[plain] != '\\') plain++;
    append(to, text, plain);
    text += plain;
    if (*text == 0) break;
    char escaped[8];
    if (*text == '"' || *text == '\\') snprintf(escaped, sizeof escaped, "\\%c", *text);
    else if (*text == '\n') snprintf(escaped, sizeof escaped, "\\n");
    else snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned char)*text);
    append(to, escaped, strlen(escaped));
    text++;
  }
  append(to, "\"", 1);
}

static void append_value(buffer *to, const wflo_json *value, int depth) {
  /* What nests deeper was made so by the step, perhaps of itself. */
  if (depth > DEEPEST) abort();
  const char *word = "null";
  switch (wflo_json_kind_of(value)) {
  case WFLO_JSON_NULL: break;
  case WFLO_JSON_BOOLEAN: word = value->boolean ? "true" : "false"; break;
  case WFLO_JSON_NUMBER: word = value->text; break;
  case WFLO_JSON_STRING: append_string(to, value->text); return;
  case WFLO_JSON_ARRAY:
  case WFLO_JSON_OBJECT: {
    bool is_array = value->kind == WFLO_JSON_ARRAY;
    append(to, is_array ? "[" : "{", 1);
    for (size_t at = 0; at < value->size; at++) {
      if (at > 0) append(to, ",", 1);
      if (!is_array) {
        append_string(to, value->names[at]);
        append(to, ":", 1);
      }
      append_value(to, value->members[at], depth + 1);
    }
    append(to, is_array ? "]" : "}", 1);
    return;
  }
  }
  append(to, word, strlen(word));
}

const char *wflo_json_write(const wflo_json *value) {
  buffer to = {0};
  append_value(&to, value, 0);
  return to.text;
}

/* ---- Reading ---- */

static void skip(const char **at) { *at += strspn(*at, " \t\r\n"); }

static int hex4(const char *at) {
  int unit = 0;
  for (int n = 0; n < 4; n++) {
    char it = at[n];
    int digit = is_digit(it) ? it - '0' : it >= 'a' && it <= 'f' ? it - 'a' + 10 : it >= 'A' && it <= 'F' ? it - 'A' + 10 : -1;
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

static size_t utf8(unsigned point, char *into) {
  if (point < 0x80) return into[0] = (char)point, 1;
  if (point < 0x800) return into[0] = (char)(0xc0 | point >> 6), into[1] = (char)(0x80 | (point & 0x3f)), 2;
  if (point < 0x10000) {
    into[0] = (char)(0xe0 | point >> 12);
    into[1] = (char)(0x80 | (point >> 6 & 0x3f));
    into[2] = (char)(0x80 | (point & 0x3f));
    return 3;
  }
  into[0] = (char)(0xf0 | point >> 18);
  into[1] = (char)(0x80 | (point >> 12 & 0x3f));
  into[2] = (char)(0x80 | (point >> 6 & 0x3f));
  into[3] = (char)(0x80 | (point & 0x3f));
  return 4;
}

/* An escape, after its backslash; false if it is none. A zero and half of a pair are U+FFFD: text here ends with a zero. */
static bool escape(const char **at, buffer *to) {
  const char *known = "\"\\/bfnrt", *meant = "\"\\/\b\f\n\r\t", *found = **at == 0 ? NULL : strchr(known, **at);
  if (found != NULL) {
    append(to, meant + (found - known), 1);
    *at += 1;
    return true;
  }
  int unit = **at == 'u' ? hex4(*at + 1) : -1;
  if (unit < 0) return false;
  *at += 5;
  unsigned point = (unsigned)unit;
  if (unit >= 0xd800 && unit < 0xdc00 && (*at)[0] == '\\' && (*at)[1] == 'u') {
    int low = hex4(*at + 2);
    if (low >= 0xdc00 && low < 0xe000) {
      point = 0x10000 + ((point - 0xd800) << 10) + ((unsigned)low - 0xdc00);
      *at += 6;
    }
  }
  if (point == 0 || (point >= 0xd800 && point < 0xe000)) point = 0xfffd;
  char bytes[4];
  append(to, bytes, utf8(point, bytes));
  return true;
}

static const char *read_string(const char **at) {
  if (**at != '"') return NULL;
  *at += 1;
  buffer text = {0};
  append(&text, "", 0);
  for (;;) {
    size_t plain = 0;
    while ((unsigned char)(*at)[plain] >= 0x20 && (*at)[plain] != '"' && (*at)[plain] != '\\') plain++;
    append(&text, *at, plain);
    *at += plain;
    if (**at == '"') {
      *at += 1;
      return text.text;
    }
    if (**at != '\\') return NULL;
    *at += 1;
    if (!escape(at, &text)) return NULL;
  }
}

static wflo_json *read_number(const char **at) {
  const char *from = *at, *it = from;
  if (*it == '-') it++;
  if (*it == '0') it++;
  else if (is_digit(*it)) while (is_digit(*it)) it++;
  else return NULL;
  if (*it == '.') {
    if (!is_digit(*++it)) return NULL;
    while (is_digit(*it)) it++;
  }
  if (*it == 'e' || *it == 'E') {
    it++;
    if (*it == '+' || *it == '-') it++;
    if (!is_digit(*it)) return NULL;
    while (is_digit(*it)) it++;
  }
  wflo_json *value = value_of(WFLO_JSON_NUMBER);
  value->text = copied(from, (size_t)(it - from));
  *at = it;
  return value;
}

static bool word(const char **at, const char *word) {
  if (strncmp(*at, word, strlen(word)) != 0) return false;
  *at += strlen(word);
  return true;
}

static wflo_json *read_value(const char **at, int depth);

static wflo_json *read_members(const char **at, bool is_array, int depth) {
  wflo_json *value = is_array ? wflo_json_array() : wflo_json_object();
  char end = is_array ? ']' : '}';
  *at += 1;
  skip(at);
  if (**at == end) {
    *at += 1;
    return value;
  }
  for (;;) {
    const char *name = NULL;
    skip(at);
    if (!is_array) {
      name = read_string(at);
      skip(at);
      if (name == NULL || **at != ':') return NULL;
      *at += 1;
    }
    wflo_json *member = read_value(at, depth + 1);
    if (member == NULL) return NULL;
    add(value, name, member);
    skip(at);
    if (**at == end) {
      *at += 1;
      return value;
    }
    if (**at != ',') return NULL;
    *at += 1;
  }
}

static wflo_json *read_value(const char **at, int depth) {
  if (depth > DEEPEST) return NULL;
  skip(at);
  switch (**at) {
  case '{': return read_members(at, false, depth);
  case '[': return read_members(at, true, depth);
  case 't': return word(at, "true") ? wflo_json_boolean(true) : NULL;
  case 'f': return word(at, "false") ? wflo_json_boolean(false) : NULL;
  case 'n': return word(at, "null") ? wflo_json_null() : NULL;
  case '"': {
    const char *text = read_string(at);
    if (text == NULL) return NULL;
    wflo_json *value = value_of(WFLO_JSON_STRING);
    value->text = text;
    return value;
  }
  default: return read_number(at);
  }
}

wflo_json *wflo_json_parse(const char *text) {
  if (text == NULL) return NULL;
  wflo_json *value = read_value(&text, 0);
  if (value == NULL) return NULL;
  skip(&text);
  return *text == 0 ? value : NULL;
}
