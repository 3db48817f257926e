/* SQL databases. */
#include "internal.h"

#include <string.h>

static const wflo_code CODES[] = {WFLO_ACCESS_DENIED,     WFLO_INVALID,  WFLO_CONSTRAINT,  WFLO_LIMIT,
                                  WFLO_REFUSED_BY_POLICY, WFLO_REJECTED, WFLO_UNAVAILABLE, WFLO_OTHER};

static void *failed(wflo_error *error, const wflo_db_sql_error_t *why) {
  return wflo_refused(error, CODES[why->tag], why->val.other);
}

wflo_value wflo_null(void) { return (wflo_value){.type = WFLO_NULL}; }
wflo_value wflo_boolean(bool value) { return (wflo_value){.type = WFLO_BOOLEAN, .integer = value}; }
wflo_value wflo_integer(int64_t value) { return (wflo_value){.type = WFLO_INTEGER, .integer = value}; }
wflo_value wflo_real(double value) { return (wflo_value){.type = WFLO_REAL, .real = value}; }

static wflo_value text_of(wflo_type type, const char *text) {
  if (text == NULL) return wflo_null();
  return (wflo_value){.type = type, .text = text, .size = strlen(text)};
}

wflo_value wflo_text(const char *text) { return text_of(WFLO_TEXT, text); }
wflo_value wflo_decimal(const char *text) { return text_of(WFLO_DECIMAL, text); }
wflo_value wflo_timestamp(const char *rfc3339) { return text_of(WFLO_TIMESTAMP, rfc3339); }
wflo_value wflo_uuid(const char *text) { return text_of(WFLO_UUID, text); }
wflo_value wflo_json_of(const wflo_json *value) { return text_of(WFLO_JSON, wflo_json_write(value)); }

wflo_value wflo_blob(const void *bytes, size_t size) {
  return (wflo_value){.type = WFLO_BLOB, .text = bytes, .size = size};
}

/* Types are numbered as the host's are. */
static wflo_db_sql_list_value_t sent(const wflo_value *params, size_t size) {
  wflo_db_sql_list_value_t list = {wflo_made(size * sizeof(wflo_db_sql_value_t)), size};
  for (size_t at = 0; at < size; at++) {
    wflo_db_sql_value_t *value = &list.ptr[at];
    value->tag = (uint8_t)params[at].type;
    switch (params[at].type) {
    case WFLO_NULL: break;
    case WFLO_BOOLEAN: value->val.boolean = params[at].integer != 0; break;
    case WFLO_INTEGER: value->val.integer = params[at].integer; break;
    case WFLO_REAL: value->val.real = params[at].real; break;
    default: value->val.text = (guest_string_t){(uint8_t *)params[at].text, params[at].size};
    }
  }
  return list;
}

static wflo_value received(const wflo_db_sql_value_t *value) {
  wflo_value made = {.type = (wflo_type)value->tag};
  switch (made.type) {
  case WFLO_NULL: break;
  case WFLO_BOOLEAN: made.integer = value->val.boolean; break;
  case WFLO_INTEGER: made.integer = value->val.integer; break;
  case WFLO_REAL: made.real = value->val.real; break;
  default:
    made.text = wflo_from_host(value->val.text);
    made.size = value->val.text.len;
  }
  return made;
}

static const wflo_rows *rows_of(const wflo_db_sql_rows_t *given) {
  wflo_rows *rows = wflo_made(sizeof *rows);
  rows->columns = given->columns.len;
  rows->rows = given->rows.len;
  rows->names = wflo_made(rows->columns * sizeof *rows->names);
  wflo_value *values = wflo_made(rows->columns * rows->rows * sizeof *values);
  for (size_t column = 0; column < rows->columns; column++) {
    rows->names[column] = wflo_from_host(given->columns.ptr[column]);
    for (size_t row = 0; row < rows->rows; row++) {
      values[row * rows->columns + column] = received(&given->rows.ptr[row].ptr[column]);
    }
  }
  rows->values = values;
  return rows;
}

const wflo_rows *wflo_query(const char *db, const char *statement, const wflo_value *params, size_t size,
                            wflo_error *error) {
  guest_string_t label = wflo_to_host(db), text = wflo_to_host(statement);
  wflo_db_sql_list_value_t values = sent(params, size);
  wflo_db_sql_rows_t rows;
  wflo_db_sql_error_t why;
  return wflo_db_sql_query(&label, &text, &values, &rows, &why) ? rows_of(&rows) : failed(error, &why);
}

const wflo_rows *wflo_page(const char *db, const char *statement, const wflo_value *params, size_t size, uint64_t from,
                           uint32_t most, wflo_error *error) {
  guest_string_t label = wflo_to_host(db), text = wflo_to_host(statement);
  wflo_db_sql_list_value_t values = sent(params, size);
  wflo_db_sql_rows_t rows;
  wflo_db_sql_error_t why;
  bool is_ok = wflo_db_sql_page(&label, &text, &values, from, most, &rows, &why);
  return is_ok ? rows_of(&rows) : failed(error, &why);
}

bool wflo_execute(const char *db, const char *statement, const wflo_value *params, size_t size, uint64_t *changed,
                  wflo_error *error) {
  guest_string_t label = wflo_to_host(db), text = wflo_to_host(statement);
  wflo_db_sql_list_value_t values = sent(params, size);
  uint64_t number;
  wflo_db_sql_error_t why;
  if (!wflo_db_sql_execute(&label, &text, &values, &number, &why)) return failed(error, &why) != NULL;
  if (changed != NULL) *changed = number;
  return true;
}

const wflo_rows *wflo_call(const char *db, const char *statement, const wflo_json *params, wflo_error *error) {
  const char *object = params == NULL ? "{}" : wflo_json_write(params);
  guest_string_t label = wflo_to_host(db), name = wflo_to_host(statement), text = wflo_to_host(object);
  wflo_db_sql_rows_t rows;
  wflo_db_sql_error_t why;
  return wflo_db_sql_call(&label, &name, &text, &rows, &why) ? rows_of(&rows) : failed(error, &why);
}

bool wflo_bulk_insert(const char *db, const char *table, const wflo_json *artifact, wflo_format format,
                      const char *const *columns, uint64_t *inserted, wflo_error *error) {
  guest_string_t label = wflo_to_host(db), into = wflo_to_host(table);
  guest_list_string_t names = wflo_texts(columns);
  const wflo_json *item = wflo_json_get(artifact, "item");
  wflo_db_sql_row_source_t source = {
      .name = wflo_to_host(wflo_json_text(wflo_json_get(artifact, "artifact"))),
      .step = wflo_maybe(wflo_json_text(wflo_json_get(artifact, "step"))),
      .item = {.is_some = item != NULL, .val = (uint32_t)wflo_json_to_integer(item)},
      .format = (uint8_t)format,
  };
  uint64_t number;
  wflo_db_sql_error_t why;
  if (!wflo_db_sql_bulk_insert(&label, &into, &names, &source, &number, &why)) return failed(error, &why) != NULL;
  if (inserted != NULL) *inserted = number;
  return true;
}

const wflo_value *wflo_at(const wflo_rows *rows, size_t row, const char *column) {
  static const wflo_value nothing = {.type = WFLO_NULL};
  for (size_t at = 0; rows != NULL && row < rows->rows && at < rows->columns; at++) {
    if (strcmp(rows->names[at], column) == 0) return &rows->values[row * rows->columns + at];
  }
  return &nothing;
}
