/* What the steps of wflo workflows are written with, in C.
 *
 *     #include <wflo.h>
 *
 *     static wflo_json *hello(wflo_error *error) {
 *       const char *name = wflo_json_text(wflo_input("name"));
 *       if (name == NULL) return wflo_fail(error, WFLO_PERMANENT, "nobody is named");
 *       return wflo_json_set(wflo_json_object(), "hello", wflo_json_string(name));
 *     }
 *
 *     const wflo_step wflo_steps[] = {
 *       {.name = "hello", .summary = "Greet whoever is named", .run = hello},
 *       {0},
 *     };
 *
 * `wflo build` makes a component of the files `*.c` beside `steps.c`. It imports what its steps use and nothing else.
 *
 * Text is UTF-8 and ends with a zero. What these functions return stays until the step has ended; then the sandbox goes,
 * with all of its memory, so that nothing need be freed. A function that can fail takes a `wflo_error` last, which may be
 * NULL, and returns NULL, false or 0 when it did. */
#ifndef WFLO_H
#define WFLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ---- */

/* What another attempt of the step could do. */
typedef enum wflo_kind {
  WFLO_PERMANENT, /* It cannot help. */
  WFLO_RETRYABLE, /* It may; what models answered is kept, and not paid for again. */
  WFLO_REDO,      /* It may, and models are asked afresh. */
} wflo_kind;

typedef enum wflo_code {
  WFLO_NO_ERROR,
  WFLO_OTHER,
  WFLO_ACCESS_DENIED,     /* The step was not granted it, or the deployment does not allow it. */
  WFLO_BUDGET_EXCEEDED,   /* The call would exceed the budget and was not made; the message is what is left, in USD. */
  WFLO_UNKNOWN,           /* The deployment binds nothing of that name, or there is no such artifact. */
  WFLO_REFUSED_BY_POLICY, /* A policy denied it; the message is its name. */
  WFLO_REJECTED,          /* People were asked about it, and decided against it or not in time. */
  WFLO_RATE_LIMITED,      /* The provider limits the rate. */
  WFLO_CONTEXT_TOO_LONG,  /* The request is longer than the model's context. */
  WFLO_BAD_OUTPUT,        /* A model's answer is not what it was asked for. */
  WFLO_UNAVAILABLE,       /* The other side is away, busy or broken. */
  WFLO_INVALID,           /* The request itself is wrong. */
  WFLO_CONSTRAINT,        /* A constraint of the database refused the statement. */
  WFLO_LIMIT,             /* It went over a limit. */
  WFLO_STALE,             /* What a plan starts from has changed since. */
  WFLO_NOT_APPLIED,       /* A plan could not be applied, and everything is as it was. */
  WFLO_HTTP_STATUS,       /* A server answered, and not with success: `status`. */
} wflo_code;

typedef struct wflo_error {
  wflo_code code;
  wflo_kind kind;
  int status;
  const char *message;
} wflo_error;

/* Fills in an error, its message as printf would write it. Always NULL: `return wflo_fail(error, WFLO_RETRYABLE, "later");` */
void *wflo_fail(wflo_error *error, wflo_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- JSON ---- */

/* A value. Everything that reads takes NULL for one that is not there. */
typedef struct wflo_json wflo_json;

typedef enum wflo_json_kind {
  WFLO_JSON_NULL,
  WFLO_JSON_BOOLEAN,
  WFLO_JSON_NUMBER,
  WFLO_JSON_STRING,
  WFLO_JSON_ARRAY,
  WFLO_JSON_OBJECT,
} wflo_json_kind;

/* Reads JSON; NULL if it is none. Numbers keep their digits. */
wflo_json *wflo_json_parse(const char *text);
/* Writes it, without spaces; an object in the order in which it was made. */
const char *wflo_json_write(const wflo_json *value);

wflo_json_kind wflo_json_kind_of(const wflo_json *value);
/* The members of an array or object. */
size_t wflo_json_size(const wflo_json *value);
const wflo_json *wflo_json_at(const wflo_json *array, size_t index);
/* A member of an object; NULL if there is none of that name. */
const wflo_json *wflo_json_get(const wflo_json *object, const char *name);
const char *wflo_json_name(const wflo_json *object, size_t index);
/* What is in it; NULL, 0 or false where it is something else: to an integer, also a number that is not whole or is beyond 64
 * bits. */
const char *wflo_json_text(const wflo_json *value);
int64_t wflo_json_to_integer(const wflo_json *value);
double wflo_json_to_real(const wflo_json *value);
bool wflo_json_to_boolean(const wflo_json *value);
/* Whether it is a whole number of 64 bits, however it is written (`7`, `7.0`, `7e0`), and which; `integer` may be NULL, and is
 * left as it is where it is none. */
bool wflo_json_whole(const wflo_json *value, int64_t *integer);

wflo_json *wflo_json_null(void);
wflo_json *wflo_json_boolean(bool value);
wflo_json *wflo_json_integer(int64_t value);
wflo_json *wflo_json_real(double value);
/* NULL makes a null. */
wflo_json *wflo_json_string(const char *text);
wflo_json *wflo_json_array(void);
wflo_json *wflo_json_object(void);
/* Add a member, and give back what it was added to. A member of the same name is replaced. */
wflo_json *wflo_json_push(wflo_json *array, const wflo_json *value);
wflo_json *wflo_json_set(wflo_json *object, const char *name, const wflo_json *value);

/* ---- Steps ---- */

typedef struct wflo_undo {
  const char *step;        /* The function that it was run by: steps of workflow.toml may share it. */
  const wflo_json *item;   /* NULL if the step did not fan out. */
  const wflo_json *output; /* NULL if it did not get that far. */
  bool certain;            /* Whether its effects are known to have happened. */
} wflo_undo;

typedef struct wflo_step {
  const char *name;
  const char *summary;
  /* Gives the output; NULL is a null, or the failure that it has filled in. */
  wflo_json *(*run)(wflo_error *error);
  /* Undoes it when the run is rolled back, and says whether it is undone; may be NULL. False is the failure that it has filled
   * in. */
  bool (*compensate)(const wflo_undo *undo, wflo_error *error);
  /* JSON Schema of its output, and an object of the facts that it may claim with the schema of each; both may be NULL. */
  const char *output_schema;
  const char *facts;
} wflo_step;

/* The steps of the component, after the last one an empty one. */
extern const wflo_step wflo_steps[];

const wflo_json *wflo_inputs(void);
/* One input, or its default; NULL if there is none. */
const wflo_json *wflo_input(const char *name);
/* The output of a step that this one depends on; NULL for any other, and for one that was skipped. */
const wflo_json *wflo_output_of(const char *step);
/* The element that this attempt works on, where the step fans out; else NULL. */
const wflo_json *wflo_item(void);
const char *wflo_run_id(void);
const char *wflo_step_name(void);
uint32_t wflo_attempt(void);
/* Reports a cost that wflo does not see; an exact decimal such as "0.0125". */
bool wflo_report_cost(const char *kind, const char *usd, const char *note, wflo_error *error);

typedef enum wflo_level { WFLO_TRACE, WFLO_DEBUG, WFLO_INFO, WFLO_WARN, WFLO_ERROR } wflo_level;
/* Logs a message with the fields of an object, which may be NULL. */
void wflo_log(wflo_level level, const char *message, const wflo_json *fields);

/* ---- Databases ---- */

typedef enum wflo_type {
  WFLO_NULL,
  WFLO_BOOLEAN,
  WFLO_INTEGER,
  WFLO_REAL,
  WFLO_DECIMAL,
  WFLO_TEXT,
  WFLO_BLOB,
  WFLO_TIMESTAMP,
  WFLO_JSON,
  WFLO_UUID,
} wflo_type;

/* A parameter of a statement, or a value of a row. */
typedef struct wflo_value {
  wflo_type type;
  int64_t integer; /* of a boolean as well */
  double real;
  const char *text; /* of all others; the bytes of a blob */
  size_t size;      /* of `text`, in bytes */
} wflo_value;

wflo_value wflo_null(void);
wflo_value wflo_boolean(bool value);
wflo_value wflo_integer(int64_t value);
wflo_value wflo_real(double value);
wflo_value wflo_text(const char *text);
wflo_value wflo_decimal(const char *text);
wflo_value wflo_blob(const void *bytes, size_t size);
wflo_value wflo_timestamp(const char *rfc3339);
wflo_value wflo_json_of(const wflo_json *value);
wflo_value wflo_uuid(const char *text);

/* Parameters and their number: `wflo_query("bank", "SELECT * FROM t WHERE id = ?1", WFLO_PARAMS(wflo_integer(7)), &error)`.
 * `WFLO_NO_PARAMS` where there are none. */
#define WFLO_PARAMS(...) (const wflo_value[]){__VA_ARGS__}, sizeof((const wflo_value[]){__VA_ARGS__}) / sizeof(wflo_value)
#define WFLO_NO_PARAMS NULL, 0

typedef struct wflo_rows {
  size_t columns;
  size_t rows;
  const char **names;
  const wflo_value *values; /* row after row */
} wflo_rows;

const wflo_rows *wflo_query(const char *db, const char *statement, const wflo_value *params, size_t size, wflo_error *error);
/* Reads a part of a result that may be larger than memory: rows from number `from` on, at least one and at most `most`; none
 * at the end. All parts are of one snapshot, that of the first, which is begun before the step's first write. */
const wflo_rows *wflo_page(const char *db, const char *statement, const wflo_value *params, size_t size, uint64_t from,
                           uint32_t most, wflo_error *error);
/* Writes; gives the number of rows changed. */
bool wflo_execute(const char *db, const char *statement, const wflo_value *params, size_t size, uint64_t *changed,
                  wflo_error *error);
/* Calls a statement that the workflow names, with an object of its parameters. An integer beyond 2^53 is
 * `{"integer": "9007199254740993"}`, a decimal is text, bytes are `{"blob": "00ff"}`. */
const wflo_rows *wflo_call(const char *db, const char *statement, const wflo_json *params, wflo_error *error);
typedef enum wflo_format { WFLO_JSON_LINES, WFLO_CSV } wflo_format;
/* Inserts the rows of an artifact, by its reference; `columns` are those that get values, ended by NULL, or NULL. */
bool wflo_bulk_insert(const char *db, const char *table, const wflo_json *artifact, wflo_format format,
                      const char *const *columns, uint64_t *inserted, wflo_error *error);
/* The value of a column; one of type WFLO_NULL where there is none. */
const wflo_value *wflo_at(const wflo_rows *rows, size_t row, const char *column);

/* ---- Models ---- */

typedef struct wflo_usage {
  uint64_t input_tokens, output_tokens;
  const char *cost_usd; /* an exact decimal */
  bool estimated;
} wflo_usage;

typedef struct wflo_chat {
  const char *model;
  const char *system; /* may be NULL */
  const char *prompt; /* may be NULL where there are messages */
  /* The conversation so far, between the two: an array of `{"role", "content"}`; may be NULL. */
  const wflo_json *messages;
  const wflo_json *schema; /* JSON Schema of the answer; may be NULL */
  uint32_t max_tokens;     /* 0: as many as the remaining budget buys */
  const double *temperature;
  const uint64_t *seed;
} wflo_chat;

typedef struct wflo_completion {
  const char *text;
  const char *model;
  const char *finish_reason;
  wflo_usage usage;
} wflo_completion;

const wflo_completion *wflo_complete(const wflo_chat *chat, wflo_error *error);

/* The tasks. `usage` may be NULL; lists of text end with NULL; what is returned is as `wit/llm` has it. */
const wflo_json *wflo_analyze(const char *model, const wflo_json *data, const char *prompt, const wflo_json *schema,
                              wflo_usage *usage, wflo_error *error);
const wflo_json *wflo_answer(const char *model, const char *question, const char *knowledge, uint32_t top,
                             wflo_usage *usage, wflo_error *error);
const wflo_json *wflo_classify(const char *model, const char *text, const char *const *categories, wflo_usage *usage,
                               wflo_error *error);
const wflo_json *wflo_transform(const char *model, const wflo_json *rows, const char *instructions,
                                const wflo_json *schema, wflo_usage *usage, wflo_error *error);
const wflo_json *wflo_validate(const char *model, const wflo_json *data, const char *const *rules, wflo_usage *usage,
                               wflo_error *error);
const wflo_json *wflo_generate_code(const char *model, const char *language, const wflo_json *requirements,
                                    wflo_usage *usage, wflo_error *error);
const wflo_json *wflo_moderate(const char *model, const char *content, const char *const *policies, wflo_usage *usage,
                               wflo_error *error);
const wflo_json *wflo_synthesize(const char *model, const wflo_json *data, const char *prompt, const wflo_json *schema,
                                 wflo_usage *usage, wflo_error *error);

/* ---- HTTP ---- */

typedef struct wflo_header {
  const char *name;
  const char *value;
} wflo_header;

typedef struct wflo_request {
  const char *method; /* NULL: GET */
  const char *url;
  const wflo_header *headers; /* ended by an empty one; may be NULL */
  const void *body;
  size_t body_size;
  const wflo_json *json;  /* a body, where `body` is NULL */
  uint32_t first_byte_ms; /* 0: as long as the host lets it */
} wflo_request;

typedef struct wflo_response {
  int status;
  const wflo_header *headers; /* names in lower case, ended by an empty one */
  const char *body;           /* a zero after it */
  size_t body_size;
} wflo_response;

/* Sends a request, and gives the answer, whatever its status. Redirects of GET and HEAD are followed, each a request of its
 * own that needs a grant; credentials are not sent on to another host. */
const wflo_response *wflo_fetch(const wflo_request *request, wflo_error *error);
/* Whether an answer is one of success; else the error is WFLO_HTTP_STATUS. */
bool wflo_success(const wflo_response *response, wflo_error *error);
const char *wflo_header_of(const wflo_response *response, const char *name);
/* Keeps the body of a successful answer as an artifact, and gives its reference. Redirects are not followed. */
const wflo_json *wflo_save(const wflo_request *request, const char *artifact, wflo_error *error);
/* Posts a value as JSON, and gives the answer of success. Use a grant with an idempotency header. */
const wflo_response *wflo_publish(const char *url, const wflo_json *value, wflo_error *error);
/* What stands for a secret in the headers and bodies of requests. */
const char *wflo_secret(const char *label, wflo_error *error);

/* ---- People ---- */

typedef struct wflo_vote {
  const char *by;
  bool approved;
  const char *comment; /* may be NULL */
} wflo_vote;

typedef enum wflo_status { WFLO_APPROVED, WFLO_WAS_REJECTED, WFLO_EXPIRED } wflo_status;

typedef struct wflo_decision {
  wflo_status status;
  const wflo_vote *votes;
  size_t size;
} wflo_decision;

typedef struct wflo_question {
  const char *summary;
  const wflo_json *details;     /* may be NULL */
  const char *const *approvers; /* ended by NULL */
  uint32_t quorum;              /* 0: one of each */
  uint32_t timeout_seconds;     /* 0: for ever */
} wflo_question;

/* Asks people, and waits for their decision for as long as it takes. A rejection is a decision, not an error. */
const wflo_decision *wflo_ask(const wflo_question *question, wflo_error *error);
/* The last decision about this step, else about those it depends on; NULL if nobody was asked. */
const wflo_decision *wflo_last_decision(void);

typedef enum wflo_verdict { WFLO_UNOPPOSED, WFLO_AUTO_APPROVED, WFLO_PEOPLE_APPROVED, WFLO_PEOPLE_REJECTED } wflo_verdict;
/* Claims a fact that the step declares in workflow.toml, and says what the policies say to it. */
bool wflo_fact(const char *name, const wflo_json *value, wflo_verdict *verdict, wflo_error *error);

typedef struct wflo_mail {
  const char *const *to; /* ended by NULL */
  const char *subject;
  const char *text;
  const char *answers; /* the id of a message, without angle brackets; may be NULL */
} wflo_mail;

/* Queues a mail, which leaves when the step has succeeded; gives its id. */
const char *wflo_send_mail(const wflo_mail *mail, wflo_error *error);
/* Queues a message for a channel such as slack://team. */
bool wflo_notify(const char *address, const char *title, const char *text, wflo_error *error);

/* ---- Artifacts, knowledge, infrastructure ---- */

typedef struct wflo_writer wflo_writer;
typedef struct wflo_reader wflo_reader;

wflo_writer *wflo_create(const char *name, wflo_error *error);
bool wflo_write(wflo_writer *writer, const void *bytes, size_t size, wflo_error *error);
/* Makes the artifact, and gives the reference to hand it on by. */
const wflo_json *wflo_finish(wflo_writer *writer, wflo_error *error);
/* Opens an artifact by its reference, or by its name. */
wflo_reader *wflo_open(const wflo_json *artifact, wflo_error *error);
wflo_reader *wflo_open_named(const char *name, wflo_error *error);
uint64_t wflo_size(const wflo_reader *reader);
/* Reads as many bytes as there are, and at most so many; how many, 0 at the end and where it failed. */
size_t wflo_read(wflo_reader *reader, void *into, size_t most, wflo_error *error);
void wflo_seek(wflo_reader *reader, uint64_t at);
void wflo_close(wflo_reader *reader);

/* The passages that fit a question best: an array of `{"source", "title", "text", "score"}`. */
const wflo_json *wflo_search(const char *knowledge, const char *question, uint32_t top, wflo_error *error);

/* terraform: objects as `wit/infra` has them. `files` is an object of contents by path. */
const wflo_json *wflo_terraform_state(const char *label, wflo_error *error);
const wflo_json *wflo_terraform_plan(const char *label, const wflo_json *files, wflo_error *error);
const wflo_json *wflo_terraform_apply(const char *label, const char *plan, wflo_error *error);

#ifdef __cplusplus
}
#endif

#endif
