/* What a component of steps exports, and what a step may always ask about itself. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Text and errors, for the other files as well ---- */

void *wflo_made(size_t size) {
  void *memory = calloc(1, size == 0 ? 1 : size);
  if (memory == NULL) abort();
  return memory;
}

guest_string_t wflo_to_host(const char *text) {
  return (guest_string_t){(uint8_t *)(text == NULL ? "" : text), text == NULL ? 0 : strlen(text)};
}

guest_option_string_t wflo_maybe(const char *text) {
  return (guest_option_string_t){.is_some = text != NULL, .val = wflo_to_host(text)};
}

guest_list_string_t wflo_texts(const char *const *texts) {
  guest_list_string_t list = {0};
  while (texts != NULL && texts[list.len] != NULL) list.len++;
  list.ptr = wflo_made(list.len * sizeof *list.ptr);
  for (size_t at = 0; at < list.len; at++) list.ptr[at] = wflo_to_host(texts[at]);
  return list;
}

const char *wflo_bytes(const void *bytes, size_t size) {
  char *text = wflo_made(size + 1);
  if (size > 0) memcpy(text, bytes, size);
  return text;
}

const char *wflo_from_host(guest_string_t text) { return wflo_bytes(text.ptr, text.len); }

const wflo_json *wflo_json_from_host(guest_string_t text) { return wflo_json_parse(wflo_from_host(text)); }

void *wflo_refused(wflo_error *error, wflo_code code, guest_string_t message) {
  if (error == NULL) return NULL;
  bool again = code == WFLO_UNAVAILABLE || code == WFLO_RATE_LIMITED || code == WFLO_STALE;
  wflo_kind kind = again ? WFLO_RETRYABLE : code == WFLO_BAD_OUTPUT ? WFLO_REDO : WFLO_PERMANENT;
  *error = (wflo_error){.code = code, .kind = kind, .message = wflo_from_host(message)};
  return NULL;
}

void *wflo_fail(wflo_error *error, wflo_kind kind, const char *format, ...) {
  if (error == NULL) return NULL;
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *message = wflo_made(size < 0 ? 1 : (size_t)size + 1);
  va_start(arguments, format);
  if (size > 0) vsnprintf(message, (size_t)size + 1, format, arguments);
  va_end(arguments);
  *error = (wflo_error){.code = WFLO_OTHER, .kind = kind, .message = message};
  return NULL;
}

/* ---- The run ---- */

#define ASKED(function)                  \
  guest_string_t text;                   \
  function(&text);                       \
  return wflo_from_host(text)

const char *wflo_run_id(void) { ASKED(wflo_step_context_run_id); }
const char *wflo_step_name(void) { ASKED(wflo_step_context_step); }
uint32_t wflo_attempt(void) { return wflo_step_context_attempt(); }

const wflo_json *wflo_inputs(void) {
  guest_string_t text;
  wflo_step_context_inputs(&text);
  return wflo_json_from_host(text);
}

const wflo_json *wflo_input(const char *name) {
  guest_string_t of = wflo_to_host(name), text;
  return wflo_step_context_input(&of, &text) ? wflo_json_from_host(text) : NULL;
}

const wflo_json *wflo_output_of(const char *step) {
  guest_string_t of = wflo_to_host(step), text;
  return wflo_step_context_output_of(&of, &text) ? wflo_json_from_host(text) : NULL;
}

const wflo_json *wflo_item(void) {
  guest_string_t text;
  return wflo_step_context_item(&text) ? wflo_json_from_host(text) : NULL;
}

bool wflo_report_cost(const char *kind, const char *usd, const char *note, wflo_error *error) {
  guest_string_t a = wflo_to_host(kind), b = wflo_to_host(usd), c = wflo_to_host(note), why;
  return wflo_step_context_report_cost(&a, &b, &c, &why) || wflo_refused(error, WFLO_INVALID, why);
}

void wflo_log(wflo_level level, const char *message, const wflo_json *fields) {
  wflo_json *line = wflo_json_set(wflo_json_object(), "message", wflo_json_string(message));
  for (size_t at = 0; at < wflo_json_size(fields); at++) {
    const char *name = wflo_json_name(fields, at);
    /* A field of that name must not take the place of the message. */
    if (name != NULL) wflo_json_set(line, strcmp(name, "message") == 0 ? "message_" : name, wflo_json_at(fields, at));
  }
  guest_string_t none = wflo_to_host(NULL), text = wflo_to_host(wflo_legible(wflo_json_write(line)));
  wasi_logging_logging_log((uint8_t)level, &none, &text);
}

/* ---- The exports. What they return is freed by the bindings. ---- */

static guest_string_t owned(const char *text) {
  guest_string_t copy;
  guest_string_dup(&copy, text == NULL ? "" : text);
  return copy;
}

static size_t count(void) {
  size_t size = 0;
  while (wflo_steps[size].name != NULL) size++;
  return size;
}

static const wflo_step *find(guest_string_t name, wflo_error *error) {
  const char *text = wflo_from_host(name);
  for (const wflo_step *step = wflo_steps; step->name != NULL; step++) {
    if (strcmp(step->name, text) == 0) return step;
  }
  return wflo_fail(error, WFLO_PERMANENT, "the component has no step `%s`", text);
}

void exports_wflo_step_handler_describe(exports_wflo_step_handler_list_step_info_t *list) {
  list->len = count();
  list->ptr = wflo_made(list->len * sizeof *list->ptr);
  for (size_t at = 0; at < list->len; at++) {
    const wflo_step *step = &wflo_steps[at];
    exports_wflo_step_handler_step_info_t *info = &list->ptr[at];
    info->name = owned(step->name);
    info->summary = owned(step->summary);
    info->compensates = step->compensate != NULL;
    info->output_schema.is_some = step->output_schema != NULL;
    if (step->output_schema != NULL) info->output_schema.val = owned(step->output_schema);
    const wflo_json *facts = wflo_json_parse(step->facts);
    info->facts.len = wflo_json_size(facts);
    info->facts.ptr = wflo_made(info->facts.len * sizeof *info->facts.ptr);
    for (size_t fact = 0; fact < info->facts.len; fact++) {
      info->facts.ptr[fact].f0 = owned(wflo_json_name(facts, fact));
      info->facts.ptr[fact].f1 = owned(wflo_json_write(wflo_json_at(facts, fact)));
    }
  }
}

static bool failed(const wflo_error *error, wflo_step_types_failure_t *failure) {
  failure->tag = (uint8_t)error->kind;
  failure->val.permanent = owned(wflo_legible(error->message));
  return false;
}

static bool run(const wflo_step *step, exports_wflo_step_handler_json_t *output, wflo_error *error) {
  wflo_json *made = step->run(error);
  /* A step that goes on after an error has dealt with it. */
  if (made == NULL && error->code != WFLO_NO_ERROR) return false;
  const char *text = wflo_json_write(made);
  size_t size = wflo_utf8(text);
  if (text[size] != 0) {
    wflo_fail(error, WFLO_PERMANENT, "the output is not UTF-8 text: after `%.*s` comes the byte 0x%02x", (int)size, text,
              (unsigned char)text[size]);
    return false;
  }
  *output = owned(text);
  return true;
}

bool exports_wflo_step_handler_run(guest_string_t *name, exports_wflo_step_handler_json_t *output,
                                   exports_wflo_step_handler_failure_t *failure) {
  wflo_error error = {0};
  const wflo_step *step = find(*name, &error);
  bool done = step != NULL && run(step, output, &error);
  /* What was printed without the end of a line. */
  fflush(NULL);
  return done || failed(&error, failure);
}

bool exports_wflo_step_handler_compensate(exports_wflo_step_handler_undo_t *what,
                                          exports_wflo_step_handler_failure_t *failure) {
  wflo_error error = {0};
  const wflo_step *step = find(what->step, &error);
  if (step == NULL) return failed(&error, failure);
  if (step->compensate == NULL) {
    wflo_fail(&error, WFLO_PERMANENT, "step `%s` has no compensation", step->name);
    return failed(&error, failure);
  }
  wflo_undo undo = {
      .step = step->name,
      .item = what->item.is_some ? wflo_json_from_host(what->item.val) : NULL,
      .output = what->output.is_some ? wflo_json_from_host(what->output.val) : NULL,
      .certain = what->certain,
  };
  /* One that goes on after an error has dealt with it. */
  bool done = step->compensate(&undo, &error);
  fflush(NULL);
  if (done) return true;
  if (error.code == WFLO_NO_ERROR) {
    wflo_fail(&error, WFLO_PERMANENT, "the compensation of step `%s` says that it failed, and not why", step->name);
  }
  return failed(&error, failure);
}

/* The bindings ask for the object file that would hold the world; `wflo build` writes the world into the module itself. */
void __component_type_object_force_link_guest(void) {}
