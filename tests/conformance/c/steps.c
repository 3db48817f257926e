/* What every SDK must do, in C. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

wflo_json *kind(const wflo_error *error) {
  static const char *const names[] = {
      "none",      "Other",         "AccessDenied", "BudgetExceeded", "Unknown",    "RefusedByPolicy", "Rejected", "RateLimited",
      "ContextTooLong", "BadOutput", "Unavailable", "Invalid",        "Constraint", "Limit",           "Stale",    "NotApplied",
      "HttpStatus",
  };
  return wflo_json_string(names[error->code]);
}

const char *site(const char *path) {
  char *url = malloc(64 + strlen(path));
  sprintf(url, "http://127.0.0.1:%lld%s", (long long)wflo_json_to_integer(wflo_input("port")), path);
  return url;
}

static char *repeated(const char *text, size_t times) {
  size_t size = strlen(text);
  char *made = malloc(size * times + 1);
  for (size_t at = 0; at < times; at++) memcpy(made + at * size, text, size);
  made[size * times] = 0;
  return made;
}

static wflo_json *digits(int64_t number) { return wflo_json_string(wflo_json_write(wflo_json_integer(number))); }

static wflo_json *context(wflo_error *error) {
  (void)error;
  wflo_json *made = wflo_json_object(), *inputs = wflo_json_object();
  const wflo_json *given = wflo_inputs();
  for (size_t at = 0; at < wflo_json_size(given); at++) {
    set(inputs, wflo_json_name(given, at), wflo_json_at(given, at));
  }
  set(made, "inputs", set(inputs, "port", NULL));
  set(made, "item", wflo_item());
  set(made, "attempt", wflo_json_integer(wflo_attempt()));
  set(made, "step", wflo_json_string(wflo_step_name()));
  set(made, "run_id", wflo_json_integer((int64_t)strlen(wflo_run_id())));
  set(made, "stranger", wflo_output_of("after"));
  return set(made, "decision", wflo_json_boolean(wflo_last_decision() != NULL));
}

static wflo_json *after(wflo_error *error) {
  (void)error;
  const wflo_json *inputs = wflo_json_get(wflo_output_of("context"), "inputs");
  wflo_json *made = set(wflo_json_object(), "text", wflo_json_get(inputs, "text"));
  return set(set(made, "list", wflo_json_get(inputs, "list")), "skipped", wflo_output_of("skipped"));
}

static wflo_json *skipped(wflo_error *error) {
  (void)error;
  return NULL;
}

static wflo_json *values(wflo_error *error) {
  const char *text = wflo_json_text(wflo_input("text"));
  const uint8_t bytes[] = {0, 9, 10, 255};
  uint64_t changed;
  bool is_written = wflo_execute(
      "data", "INSERT INTO kept (n, safe, r, t, b, d, x, yes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
      WFLO_PARAMS(wflo_integer(INT64_MIN + 1), wflo_integer(9007199254740993), wflo_real(0.1), wflo_text(text),
                  wflo_blob(bytes, sizeof bytes), wflo_decimal("12.50"), wflo_null(), wflo_boolean(true)),
      &changed, error);
  if (!is_written) return NULL;
  const wflo_rows *rows = wflo_query("data", "SELECT n, safe, r, t, b, d, x, yes FROM kept WHERE id > ?1 ORDER BY id",
                                     WFLO_PARAMS(wflo_integer(0)), error);
  const wflo_rows *none = wflo_query("data", "SELECT n FROM kept WHERE id = ?1", WFLO_PARAMS(wflo_integer(-1)), error);
  if (rows == NULL || none == NULL) return NULL;
  wflo_json *made = wflo_json_object(), *columns = wflo_json_array(), *blob = wflo_json_array();
  for (size_t at = 0; at < rows->columns; at++) wflo_json_push(columns, wflo_json_string(rows->names[at]));
  const wflo_value *b = wflo_at(rows, 0, "b");
  for (size_t at = 0; at < b->size; at++) wflo_json_push(blob, wflo_json_integer((uint8_t)b->text[at]));
  set(made, "changed", wflo_json_integer((int64_t)changed));
  set(made, "columns", columns);
  set(made, "n", digits(wflo_at(rows, 0, "n")->integer));
  set(made, "safe", digits(wflo_at(rows, 0, "safe")->integer));
  set(made, "r", wflo_json_real(wflo_at(rows, 0, "r")->real));
  set(made, "text", wflo_json_boolean(strcmp(wflo_at(rows, 0, "t")->text, text) == 0));
  set(made, "b", blob);
  set(made, "d", wflo_json_string(wflo_at(rows, 0, "d")->text));
  set(made, "x", wflo_at(rows, 0, "x")->type == WFLO_NULL ? NULL : wflo_json_boolean(true));
  set(made, "yes", wflo_json_integer(wflo_at(rows, 0, "yes")->integer));
  return set(made, "none", wflo_json_integer((int64_t)none->rows));
}

static wflo_json *large(wflo_error *error) {
  const char *many = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c";
  const wflo_rows *text = wflo_query("data", "SELECT printf('%.*c', 1000000, 'x') AS t", WFLO_NO_PARAMS, error);
  wflo_value param = wflo_text(repeated("ü", 500000));
  const wflo_rows *sent = wflo_query("data", "SELECT length(?1) AS n", WFLO_PARAMS(param), error);
  const wflo_rows *rows = wflo_query("data", many, WFLO_NO_PARAMS, error);
  if (text == NULL || sent == NULL || rows == NULL) return NULL;
  int64_t sum = 0;
  for (size_t at = 0; at < rows->rows; at++) sum += wflo_at(rows, at, "n")->integer;
  wflo_json *made = wflo_json_object();
  set(made, "length", wflo_json_integer((int64_t)wflo_at(text, 0, "t")->size));
  set(made, "sent", wflo_json_integer(wflo_at(sent, 0, "n")->integer));
  set(made, "sum", wflo_json_integer(sum));
  return set(made, "text", wflo_json_string(repeated("é", 100000)));
}

static wflo_json *pages(wflo_error *error) {
  const char *numbers =
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) SELECT n FROM c ORDER BY n";
  wflo_json *sizes = wflo_json_array();
  int64_t sum = 0;
  for (uint64_t from = 0;;) {
    const wflo_rows *page = wflo_page("data", numbers, WFLO_NO_PARAMS, from, 2000, error);
    if (page == NULL) return NULL;
    if (page->rows == 0) break;
    for (size_t at = 0; at < page->rows; at++) sum += wflo_at(page, at, "n")->integer;
    wflo_json_push(sizes, wflo_json_integer((int64_t)page->rows));
    from += page->rows;
  }
  wflo_error denied = {0};
  wflo_page("data", "SELECT id FROM secrets", WFLO_NO_PARAMS, 0, 10, &denied);
  wflo_json *made = set(wflo_json_object(), "sizes", sizes);
  return set(set(made, "sum", wflo_json_integer(sum)), "denied", kind(&denied));
}

static wflo_json *db_errors(wflo_error *unused) {
  (void)unused;
  wflo_json *made = wflo_json_array();
  wflo_error errors[5] = {0};
  wflo_query("data", "SELEC 1", WFLO_NO_PARAMS, &errors[0]);
  wflo_query("data", "SELECT id FROM secrets", WFLO_NO_PARAMS, &errors[1]);
  wflo_query("other", "SELECT 1", WFLO_NO_PARAMS, &errors[2]);
  for (int at = 3; at < 5; at++) {
    wflo_execute("data", "INSERT INTO once (id) VALUES (?1)", WFLO_PARAMS(wflo_text("a")), NULL, &errors[at]);
  }
  for (int at = 0; at < 5; at++) wflo_json_push(made, kind(&errors[at]));
  return made;
}

static wflo_json *named(wflo_error *error) {
  wflo_json *params = set(wflo_json_object(), "n", set(wflo_json_object(), "integer", wflo_json_string("9007199254740993")));
  set(params, "bytes", set(wflo_json_object(), "blob", wflo_json_string("00ff")));
  const wflo_rows *rows = wflo_call("data", "double", set(params, "price", wflo_json_string("0.10")), error);
  if (rows == NULL) return NULL;
  wflo_error denied = {0};
  wflo_call("data", "forbidden", NULL, &denied);
  wflo_json *made = set(wflo_json_object(), "n", digits(wflo_at(rows, 0, "n")->integer));
  set(made, "less", digits(wflo_at(rows, 0, "less")->integer));
  set(made, "price", wflo_json_string(wflo_at(rows, 0, "price")->text));
  set(made, "bytes", wflo_json_string(wflo_at(rows, 0, "bytes")->text));
  return set(made, "denied", kind(&denied));
}

#define ANSWER                                                                                                          \
  "{\"type\":\"object\",\"properties\":{\"count\":{\"type\":\"integer\"},\"words\":{\"type\":\"array\",\"items\":"      \
  "{\"type\":\"string\"}}},\"required\":[\"count\",\"words\"],\"additionalProperties\":false}"

static wflo_json *models(wflo_error *error) {
  const char *model = "gpt-4";
  const wflo_json *schema = wflo_json_parse(ANSWER);
  double cold = 0;
  uint64_t seed = 7;
  wflo_chat asked = {.model = model, .system = "Be terse.", .prompt = "漢字?", .max_tokens = 50, .temperature = &cold, .seed = &seed};
  const wflo_completion *chat = wflo_complete(&asked, error);
  const wflo_completion *structured = wflo_complete(&(wflo_chat){.model = model, .prompt = "Count.", .schema = schema}, error);
  if (chat == NULL || structured == NULL) return NULL;
  wflo_usage usage;
  const char *const categories[] = {"refund", "question", NULL}, *const rules[] = {"no number twice", NULL};
  const char *const policies[] = {"No spam", NULL};
  const wflo_json *two = wflo_json_parse("[1,2]");
  const wflo_json *analyzed = wflo_analyze(model, two, "Count.", schema, NULL, error);
  const wflo_json *classified = wflo_classify(model, "give it back", categories, NULL, error);
  const wflo_json *transformed = wflo_transform(model, wflo_json_parse("[1,2,3]"), "Count.", schema, NULL, error);
  const wflo_json *validated = wflo_validate(model, wflo_json_parse("[1]"), rules, NULL, error);
  const wflo_json *code = wflo_generate_code(model, "Python", wflo_json_parse("[\"print\"]"), NULL, error);
  const wflo_json *moderated = wflo_moderate(model, "spam", policies, NULL, error);
  const wflo_json *drawn = wflo_synthesize(model, two, "Count.", schema, &usage, error);
  if (drawn == NULL) return NULL;
  const char *written = wflo_json_text(wflo_json_get(code, "code"));
  wflo_json *made = wflo_json_object();
  set(made, "text", wflo_json_string(chat->text));
  set(made, "finish_reason", wflo_json_string(chat->finish_reason));
  set(made, "tokens", wflo_json_boolean(chat->usage.output_tokens > 0 && usage.output_tokens > 0));
  set(made, "structured", wflo_json_parse(structured->text));
  set(made, "analyzed", analyzed);
  set(made, "category", wflo_json_get(classified, "category"));
  set(made, "transformed", wflo_json_integer((int64_t)wflo_json_size(transformed)));
  set(made, "verdicts", wflo_json_integer((int64_t)wflo_json_size(wflo_json_get(validated, "verdicts"))));
  set(made, "code", wflo_json_boolean(written == NULL || *written == 0));
  set(made, "moderated", wflo_json_get(moderated, "verdict"));
  return set(made, "drawn", drawn);
}

static wflo_json *model_errors(wflo_error *unused) {
  (void)unused;
  const wflo_chat chats[] = {{.model = "gpt-3.5-turbo", .prompt = "Hi"}, {.model = "gpt-4", .prompt = "Hi"}, {.model = "gpt-4"}};
  wflo_json *made = wflo_json_array();
  for (int at = 0; at < 3; at++) {
    wflo_error error = {0};
    wflo_complete(&chats[at], &error);
    wflo_json_push(made, kind(&error));
  }
  return made;
}

static wflo_json *requests(wflo_error *error) {
  const wflo_response *got = wflo_fetch(&(wflo_request){.url = site("/api/json?q=a%20b%26%C3%BC")}, error);
  wflo_request post = {.method = "POST", .url = site("/api/echo"), .json = wflo_json_parse("{\"text\":\"漢字\",\"list\":[1,2]}")};
  const wflo_response *posted = wflo_fetch(&post, error);
  const char *text = repeated("ü", 100000);
  wflo_request large = {.method = "POST", .url = site("/api/echo"), .body = text, .body_size = strlen(text)};
  const wflo_response *echoed = wflo_fetch(&large, error);
  const wflo_response *moved = wflo_fetch(&(wflo_request){.url = site("/api/moved")}, error);
  const wflo_response *missing = wflo_fetch(&(wflo_request){.url = site("/api/missing")}, error);
  const char *key = wflo_secret("key", error);
  if (missing == NULL || key == NULL) return NULL;
  wflo_error status = {0}, denied = {0}, secret = {0};
  wflo_success(missing, &status);
  char value[256];
  snprintf(value, sizeof value, "Key %s", key);
  const wflo_header headers[] = {{"X-Key", value}, {0}};
  const wflo_response *header = wflo_fetch(&(wflo_request){.url = site("/api/header"), .headers = headers}, error);
  if (header == NULL) return NULL;
  wflo_fetch(&(wflo_request){.url = site("/private")}, &denied);
  wflo_secret("other", &secret);
  wflo_json *made = wflo_json_object(), *pair = wflo_json_push(wflo_json_array(), wflo_json_integer(status.status));
  set(made, "got", wflo_json_parse(got->body));
  set(made, "posted", wflo_json_parse(posted->body));
  set(made, "echoed", wflo_json_boolean(strcmp(echoed->body, text) == 0));
  set(made, "moved", wflo_json_string(moved->body));
  set(made, "status", wflo_json_push(pair, wflo_json_string(missing->body)));
  set(made, "denied", wflo_json_boolean(denied.code == WFLO_ACCESS_DENIED));
  set(made, "secret", wflo_json_boolean(secret.code == WFLO_ACCESS_DENIED));
  set(made, "header", wflo_json_boolean(strstr(header->body, "s3cret") != NULL));
  return set(made, "key", wflo_json_boolean(strcmp(key, "s3cret-of-the-host") != 0));
}

static wflo_json *people(wflo_error *error) {
  const char *const approvers[] = {"alice", NULL}, *const nobody[] = {NULL};
  wflo_question question = {
      .summary = "Go on? ü", .details = wflo_json_parse("{\"n\":1}"), .approvers = approvers, .quorum = 1};
  const wflo_decision *decision = wflo_ask(&question, error);
  if (decision == NULL) return NULL;
  wflo_json *votes = wflo_json_array();
  for (size_t at = 0; at < decision->size; at++) {
    wflo_json *vote = wflo_json_push(wflo_json_array(), wflo_json_string(decision->votes[at].by));
    wflo_json_push(vote, wflo_json_boolean(decision->votes[at].approved));
    wflo_json_push(votes, wflo_json_push(vote, wflo_json_string(decision->votes[at].comment)));
  }
  const wflo_decision *last = wflo_last_decision();
  wflo_error invalid = {0};
  wflo_ask(&(wflo_question){.summary = "Nobody", .approvers = nobody}, &invalid);
  wflo_json *made = wflo_json_object();
  set(made, "status", wflo_json_string(decision->status == WFLO_APPROVED ? "approved" : "other"));
  set(made, "votes", votes);
  set(made, "last", wflo_json_boolean(last != NULL && last->status == WFLO_APPROVED));
  return set(made, "nobody", wflo_json_boolean(invalid.code == WFLO_INVALID));
}

static wflo_json *facts(wflo_error *error) {
  wflo_verdict verdict;
  if (!wflo_fact("score", wflo_json_integer(5), &verdict, error)) return NULL;
  wflo_error denied = {0}, refused = {0};
  wflo_fact("other", wflo_json_integer(5), NULL, &denied);
  wflo_fact("score", wflo_json_integer(500), NULL, &refused);
  wflo_json *made = set(wflo_json_object(), "unopposed", wflo_json_boolean(verdict == WFLO_UNOPPOSED));
  set(made, "denied", wflo_json_boolean(denied.code == WFLO_ACCESS_DENIED));
  bool is_refused = refused.code == WFLO_REFUSED_BY_POLICY && strcmp(refused.message, "too_high") == 0;
  return set(made, "refused", wflo_json_boolean(is_refused));
}

static wflo_json *cost(wflo_error *error) {
  wflo_log(WFLO_INFO, "spent ü", wflo_json_parse("{\"usd\":\"0.0125\",\"list\":[1,2],\"nothing\":null}"));
  if (!wflo_report_cost("cloud", "0.0125", "an hour", error)) return NULL;
  wflo_error invalid = {0};
  wflo_report_cost("cloud", "much", "", &invalid);
  return wflo_json_boolean(invalid.code == WFLO_INVALID);
}

static wflo_json *fail(wflo_error *error) {
  if (wflo_attempt() > 1) return wflo_json_integer(wflo_attempt());
  nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  const char *item = wflo_json_text(wflo_item());
  if (strcmp(item, "permanent") == 0) return wflo_fail(error, WFLO_PERMANENT, "no: %s", "ü");
  if (strcmp(item, "retryable") == 0) return wflo_fail(error, WFLO_RETRYABLE, "later");
  if (strcmp(item, "redo") == 0) return wflo_fail(error, WFLO_REDO, "again");
  /* C has nothing to throw: an error is one that somebody returns. */
  return wflo_fail(error, WFLO_PERMANENT, "`%s` is no number", item);
}

static wflo_json *effect(wflo_error *error) {
  const wflo_response *response =
      wflo_fetch(&(wflo_request){.method = "POST", .url = site("/api/echo"), .body = "e-1", .body_size = 3}, error);
  if (!wflo_success(response, error)) return NULL;
  return set(set(wflo_json_object(), "id", wflo_json_string("e-1")), "text", wflo_json_string("ü"));
}

static bool undo(const wflo_undo *what, wflo_error *error) {
  const char *id = wflo_json_text(wflo_json_get(what->output, "id"));
  /* An error that is dealt with fails nothing. */
  if (wflo_execute("other", "DELETE FROM kept", NULL, 0, NULL, error)) return false;
  return wflo_execute("data", "INSERT INTO undone (step, output, certain) VALUES (?1, ?2, ?3)",
                      WFLO_PARAMS(wflo_text(what->step), wflo_text(id), wflo_boolean(what->certain)), NULL, error);
}

const wflo_step wflo_steps[] = {
    {.name = "context", .run = context},
    {.name = "after", .run = after},
    {.name = "skipped", .run = skipped},
    {.name = "values", .run = values},
    {.name = "large", .run = large},
    {.name = "pages", .run = pages},
    {.name = "db_errors", .run = db_errors},
    {.name = "named", .run = named},
    {.name = "models", .run = models},
    {.name = "model_errors", .run = model_errors},
    {.name = "requests", .run = requests},
    {.name = "people", .run = people},
    {.name = "facts", .run = facts, .facts = "{\"score\":{\"type\":\"integer\"}}"},
    {.name = "cost", .run = cost},
    {.name = "fail", .run = fail},
    {.name = "effect", .run = effect, .compensate = undo},
    {.name = "messages", .run = messages},
    {.name = "publish", .run = publish},
    {.name = "knowledge", .run = knowledge},
    {.name = "artifacts", .run = artifacts},
    {.name = "rows", .run = rows},
    {.name = "infra", .run = infra},
    {0},
};
