/* What goes out of a step: to people, to servers, to files that others read, to infrastructure. */
#include "suite.h"

#include <stdlib.h>
#include <string.h>

static wflo_json *pair(const wflo_error *first, const wflo_error *second) {
  return wflo_json_push(wflo_json_push(wflo_json_array(), kind(first)), kind(second));
}

wflo_json *messages(wflo_error *error) {
  const char *const to[] = {"ann@example.org", "bob@example.org", NULL}, *const stranger[] = {"ann@example.com", NULL};
  wflo_mail mail = {.to = to, .subject = "Grüße", .text = "Hello ü", .answers = "1@example.org"};
  const char *id = wflo_send_mail(&mail, error);
  if (id == NULL || !wflo_notify("slack://team", "told ü", "what was done", error)) return NULL;
  wflo_error denied[2] = {0}, invalid[2] = {0};
  wflo_send_mail(&(wflo_mail){.to = stranger, .subject = "s", .text = "t"}, &denied[0]);
  wflo_notify("slack://other", "s", "t", &denied[1]);
  wflo_send_mail(&(wflo_mail){.to = to, .subject = "s\ns", .text = "t"}, &invalid[0]);
  wflo_notify("slack://team", "s\ns", "t", &invalid[1]);
  wflo_json *made = set(wflo_json_object(), "id", wflo_json_boolean(strchr(id, '@') != NULL));
  set(made, "denied", pair(&denied[0], &denied[1]));
  return set(made, "invalid", pair(&invalid[0], &invalid[1]));
}

wflo_json *publish(wflo_error *error) {
  const wflo_json *title = wflo_json_parse("{\"title\":\"ü\"}");
  const wflo_response *posted = wflo_publish(site("/api/echo"), title, error);
  if (posted == NULL) return NULL;
  wflo_error denied = {0}, missing = {0};
  wflo_publish(site("/private"), title, &denied);
  wflo_publish(site("/api/missing"), title, &missing);
  wflo_json *made = set(wflo_json_object(), "posted", wflo_json_parse(posted->body));
  set(made, "denied", kind(&denied));
  return set(made, "missing", wflo_json_integer(missing.status));
}

wflo_json *knowledge(wflo_error *error) {
  const char *question = "are worn shoes taken back?";
  const wflo_json *found = wflo_search("help", question, 1, error);
  const wflo_json *answer = found == NULL ? NULL : wflo_answer("gpt-4", question, "help", 1, NULL, error);
  const wflo_json *none = answer == NULL ? NULL : wflo_answer("gpt-4", "zyzzyva", "help", 5, NULL, error);
  if (none == NULL) return NULL;
  wflo_error denied = {0}, invalid = {0};
  wflo_search("other", "shoes", 5, &denied);
  wflo_search("help", "", 5, &invalid);
  const wflo_json *passage = wflo_json_at(found, 0), *citations = wflo_json_get(answer, "citations");
  wflo_json *made = wflo_json_object(), *cited = wflo_json_array();
  for (size_t at = 0; at < wflo_json_size(citations); at++) {
    wflo_json_push(cited, wflo_json_get(wflo_json_at(citations, at), "source"));
  }
  set(made, "source", wflo_json_get(passage, "source"));
  set(made, "title", wflo_json_get(passage, "title"));
  set(made, "found", wflo_json_integer((int64_t)wflo_json_size(found)));
  set(made, "score", wflo_json_boolean(wflo_json_to_real(wflo_json_get(passage, "score")) > 0));
  set(made, "denied", kind(&denied));
  set(made, "invalid", kind(&invalid));
  set(made, "answered", wflo_json_get(answer, "answered"));
  set(made, "cited", cited);
  return set(made, "unanswered", wflo_json_get(none, "answered"));
}

static const wflo_json *written(const char *name, const void *bytes, size_t size, wflo_error *error) {
  wflo_writer *writer = wflo_create(name, error);
  if (writer == NULL || !wflo_write(writer, bytes, size, error)) return NULL;
  return wflo_finish(writer, error);
}

static char *whole(const wflo_json *artifact, wflo_error *error) {
  wflo_reader *reader = wflo_open(artifact, error);
  if (reader == NULL) return NULL;
  size_t size = (size_t)wflo_size(reader);
  char *bytes = calloc(1, size + 1);
  if (wflo_read(reader, bytes, size, error) != size) return NULL;
  wflo_close(reader);
  return bytes;
}

#define LARGE 1000000

wflo_json *artifacts(wflo_error *error) {
  const char *lines = "{\"id\":1,\"name\":\"ü\"}\n{\"id\":2,\"name\":null}\n{\"id\":3,\"name\":\"漢字\"}\n";
  const char *csv_lines = "id,name\r\n4,four\r\n5,\r\n";
  const wflo_json *rows = written("rows.jsonl", lines, strlen(lines), error);
  const wflo_json *csv = written("rows.csv", csv_lines, strlen(csv_lines), error);
  if (rows == NULL || csv == NULL) return NULL;
  char *back = whole(rows, error);
  wflo_json *names = wflo_json_array();
  for (char *line = strtok(back, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    wflo_json_push(names, wflo_json_get(wflo_json_parse(line), "name"));
  }
  wflo_reader *reader = wflo_open_named("rows.jsonl", error);
  if (reader == NULL) return NULL;
  char middle[7] = {0};
  wflo_seek(reader, 8);
  wflo_read(reader, middle, 6, error);
  uint8_t *bytes = malloc(LARGE);
  for (int at = 0; at < LARGE; at++) bytes[at] = (uint8_t)(at % 251);
  const wflo_json *large = written("large.bin", bytes, LARGE, error);
  uint8_t *read = (uint8_t *)whole(large, error);
  const wflo_json *saved = wflo_save(&(wflo_request){.url = site("/api/json")}, "page.json", error);
  if (read == NULL || saved == NULL) return NULL;
  int64_t sum = 0;
  for (int at = 0; at < LARGE; at++) sum += read[at];
  wflo_error unknown = {0}, invalid = {0}, denied = {0};
  wflo_open_named("nothing", &unknown);
  wflo_create("rows.jsonl", &invalid);
  wflo_save(&(wflo_request){.url = site("/private")}, "private", &denied);
  wflo_json *made = wflo_json_object(), *sums = wflo_json_push(wflo_json_array(), wflo_json_get(large, "bytes"));
  set(made, "rows", rows);
  set(made, "csv", csv);
  set(made, "names", names);
  set(made, "middle", wflo_json_string(middle));
  set(made, "large", wflo_json_push(sums, wflo_json_integer(sum)));
  set(made, "saved", wflo_json_get(wflo_json_parse(whole(saved, error)), "text"));
  return set(made, "errors", wflo_json_push(pair(&unknown, &invalid), kind(&denied)));
}

wflo_json *rows(wflo_error *error) {
  const wflo_json *made = wflo_output_of("artifacts");
  const wflo_json *lines = wflo_json_get(made, "rows"), *csv = wflo_json_get(made, "csv");
  const char *const columns[] = {"id", "name", NULL};
  uint64_t first, second;
  if (!wflo_bulk_insert("data", "bulk", lines, WFLO_JSON_LINES, NULL, &first, error)) return NULL;
  if (!wflo_bulk_insert("data", "bulk", csv, WFLO_CSV, columns, &second, error)) return NULL;
  const wflo_rows *all = wflo_query("data", "SELECT name FROM bulk ORDER BY id", WFLO_NO_PARAMS, error);
  if (all == NULL) return NULL;
  wflo_json *names = wflo_json_array();
  for (size_t at = 0; at < all->rows; at++) wflo_json_push(names, wflo_json_string(wflo_at(all, at, "name")->text));
  wflo_error denied = {0}, wrong = {0};
  wflo_bulk_insert("data", "secrets", lines, WFLO_JSON_LINES, NULL, NULL, &denied);
  wflo_bulk_insert("data", "bulk", csv, WFLO_JSON_LINES, NULL, NULL, &wrong);
  wflo_json *output = set(wflo_json_object(), "inserted", wflo_json_integer((int64_t)first));
  set(output, "csv", wflo_json_integer((int64_t)second));
  set(output, "names", names);
  set(output, "denied", kind(&denied));
  return set(output, "wrong", kind(&wrong));
}

wflo_json *infra(wflo_error *error) {
  wflo_json *files = set(wflo_json_object(), "main.tf", wflo_json_string("output \"size\" {\n  value = \"large\"\n}\n"));
  const wflo_json *before = wflo_terraform_state("prod", error);
  const wflo_json *plan = before == NULL ? NULL : wflo_terraform_plan("prod", files, error);
  if (plan == NULL) return NULL;
  const wflo_json *applied = wflo_terraform_apply("prod", wflo_json_text(wflo_json_get(plan, "digest")), error);
  if (applied == NULL) return NULL;
  wflo_error invalid = {0}, denied = {0};
  wflo_terraform_plan("prod", set(wflo_json_object(), "main.tf", wflo_json_string("output {")), &invalid);
  wflo_terraform_state("other", &denied);
  const wflo_json *changes = wflo_json_get(plan, "outputs");
  wflo_json *made = wflo_json_object(), *outputs = wflo_json_array(), *counts = wflo_json_array();
  for (size_t at = 0; at < wflo_json_size(changes); at++) {
    const wflo_json *change = wflo_json_at(changes, at);
    wflo_json *both = wflo_json_push(wflo_json_array(), wflo_json_get(change, "address"));
    wflo_json_push(outputs, wflo_json_push(both, wflo_json_get(change, "action")));
  }
  wflo_json_push(counts, wflo_json_get(plan, "adds"));
  wflo_json_push(counts, wflo_json_get(plan, "changes"));
  wflo_json_push(counts, wflo_json_get(plan, "destroys"));
  int64_t from = wflo_json_to_integer(wflo_json_get(before, "serial"));
  int64_t to = wflo_json_to_integer(wflo_json_get(applied, "serial"));
  set(made, "before", wflo_json_get(wflo_json_get(before, "outputs"), "size"));
  set(made, "outputs", outputs);
  set(made, "counts", counts);
  set(made, "after", wflo_json_get(wflo_json_get(applied, "outputs"), "size"));
  set(made, "serial", wflo_json_boolean(to > from));
  set(made, "invalid", kind(&invalid));
  return set(made, "denied", kind(&denied));
}
