/* Language models. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static const wflo_code CODES[] = {
    WFLO_ACCESS_DENIED, WFLO_BUDGET_EXCEEDED,  WFLO_UNKNOWN,    WFLO_REFUSED_BY_POLICY, WFLO_REJECTED, WFLO_RATE_LIMITED,
    WFLO_CONTEXT_TOO_LONG, WFLO_BAD_OUTPUT, WFLO_UNAVAILABLE, WFLO_INVALID, WFLO_OTHER,
};

static void *failed(wflo_error *error, const wflo_llm_types_error_t *why) {
  wflo_code code = CODES[why->tag];
  if (code != WFLO_RATE_LIMITED) return wflo_refused(error, code, why->val.other);
  char text[64] = "the provider limits the rate";
  if (why->val.rate_limited.is_some) {
    snprintf(text, sizeof text, "the provider limits the rate for %u s", (unsigned)why->val.rate_limited.val);
  }
  return wflo_refused(error, code, wflo_to_host(text));
}

static wflo_usage used(const wflo_llm_types_usage_t *usage) {
  return (wflo_usage){usage->input_tokens, usage->output_tokens, wflo_from_host(usage->cost_usd), usage->estimated};
}

const wflo_completion *wflo_complete(const wflo_chat *chat, wflo_error *error) {
  size_t size = wflo_json_size(chat->messages), at = 0;
  wflo_llm_chat_message_t *messages = wflo_made((size + 2) * sizeof *messages);
  if (chat->system != NULL) {
    messages[at++] = (wflo_llm_chat_message_t){WFLO_LLM_CHAT_ROLE_SYSTEM, wflo_to_host(chat->system)};
  }
  for (size_t it = 0; it < size; it++) {
    const char *role = wflo_json_text(wflo_json_get(wflo_json_at(chat->messages, it), "role"));
    const char *content = wflo_json_text(wflo_json_get(wflo_json_at(chat->messages, it), "content"));
    bool is_system = role != NULL && strcmp(role, "system") == 0;
    bool is_user = role != NULL && strcmp(role, "user") == 0;
    uint8_t who = is_system ? WFLO_LLM_CHAT_ROLE_SYSTEM : is_user ? WFLO_LLM_CHAT_ROLE_USER : WFLO_LLM_CHAT_ROLE_ASSISTANT;
    messages[at++] = (wflo_llm_chat_message_t){who, wflo_to_host(content)};
  }
  if (chat->prompt != NULL) {
    messages[at++] = (wflo_llm_chat_message_t){WFLO_LLM_CHAT_ROLE_USER, wflo_to_host(chat->prompt)};
  }
  wflo_llm_chat_request_t request = {
      .model = wflo_to_host(chat->model),
      .messages = {messages, at},
      .max_tokens = {.is_some = chat->max_tokens != 0, .val = chat->max_tokens},
      .temperature = {.is_some = chat->temperature != NULL, .val = chat->temperature == NULL ? 0 : *chat->temperature},
      .seed = {.is_some = chat->seed != NULL, .val = chat->seed == NULL ? 0 : *chat->seed},
  };
  if (chat->schema != NULL) {
    request.schema = (wflo_llm_chat_option_json_t){true, wflo_to_host(wflo_json_write(chat->schema))};
  }
  wflo_llm_chat_completion_t answer;
  wflo_llm_types_error_t why;
  if (!wflo_llm_chat_complete(&request, &answer, &why)) return failed(error, &why);
  wflo_completion *made = wflo_made(sizeof *made);
  made->text = wflo_from_host(answer.text);
  made->model = wflo_from_host(answer.model);
  made->finish_reason = wflo_from_host(answer.finish_reason);
  made->usage = used(&answer.usage);
  return made;
}

static guest_string_t json(const wflo_json *value) { return wflo_to_host(wflo_json_write(value)); }

static guest_string_t schema_of(const wflo_json *schema) {
  return schema == NULL ? wflo_to_host("{\"type\":\"object\"}") : json(schema);
}

/* Every task ends the same way. */
static const wflo_json *done(bool is_ok, const wflo_llm_tasks_outcome_t *outcome, const wflo_llm_types_error_t *why,
                             wflo_usage *usage, wflo_error *error) {
  if (!is_ok) return failed(error, why);
  if (usage != NULL) *usage = used(&outcome->usage);
  const wflo_json *value = wflo_json_from_host(outcome->value);
  return value != NULL ? value : wflo_refused(error, WFLO_BAD_OUTPUT, wflo_to_host("the answer is no JSON"));
}

#define TASK(call)                       \
  guest_string_t of = wflo_to_host(model); \
  wflo_llm_tasks_outcome_t outcome;      \
  wflo_llm_types_error_t why;            \
  bool is_ok = call;                     \
  return done(is_ok, &outcome, &why, usage, error)

const wflo_json *wflo_analyze(const char *model, const wflo_json *data, const char *prompt, const wflo_json *schema,
                              wflo_usage *usage, wflo_error *error) {
  guest_string_t a = json(data), b = wflo_to_host(prompt), c = schema_of(schema);
  TASK(wflo_llm_tasks_analyze(&of, &a, &b, &c, &outcome, &why));
}

const wflo_json *wflo_answer(const char *model, const char *question, const char *knowledge, uint32_t top,
                             wflo_usage *usage, wflo_error *error) {
  guest_string_t a = wflo_to_host(question), b = wflo_to_host(knowledge);
  TASK(wflo_llm_tasks_answer(&of, &a, &b, top, &outcome, &why));
}

const wflo_json *wflo_classify(const char *model, const char *text, const char *const *categories, wflo_usage *usage,
                               wflo_error *error) {
  guest_string_t a = wflo_to_host(text);
  guest_list_string_t b = wflo_texts(categories);
  TASK(wflo_llm_tasks_classify(&of, &a, &b, &outcome, &why));
}

const wflo_json *wflo_transform(const char *model, const wflo_json *rows, const char *instructions,
                                const wflo_json *schema, wflo_usage *usage, wflo_error *error) {
  guest_string_t a = json(rows), b = wflo_to_host(instructions), c = schema_of(schema);
  TASK(wflo_llm_tasks_transform(&of, &a, &b, &c, &outcome, &why));
}

const wflo_json *wflo_validate(const char *model, const wflo_json *data, const char *const *rules, wflo_usage *usage,
                               wflo_error *error) {
  guest_string_t a = json(data);
  guest_list_string_t b = wflo_texts(rules);
  TASK(wflo_llm_tasks_validate(&of, &a, &b, &outcome, &why));
}

const wflo_json *wflo_generate_code(const char *model, const char *language, const wflo_json *requirements,
                                    wflo_usage *usage, wflo_error *error) {
  guest_string_t a = wflo_to_host(language), b = json(requirements);
  TASK(wflo_llm_tasks_generate_code(&of, &a, &b, &outcome, &why));
}

const wflo_json *wflo_moderate(const char *model, const char *content, const char *const *policies, wflo_usage *usage,
                               wflo_error *error) {
  guest_string_t a = wflo_to_host(content);
  guest_list_string_t b = wflo_texts(policies);
  TASK(wflo_llm_tasks_moderate(&of, &a, &b, &outcome, &why));
}

const wflo_json *wflo_synthesize(const char *model, const wflo_json *data, const char *prompt, const wflo_json *schema,
                                 wflo_usage *usage, wflo_error *error) {
  guest_string_t a = json(data), b = wflo_to_host(prompt), c = schema_of(schema);
  TASK(wflo_llm_tasks_synthesize(&of, &a, &b, &c, &outcome, &why));
}
