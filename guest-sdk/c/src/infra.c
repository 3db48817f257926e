/* Knowledge bases and infrastructure. */
#include "internal.h"

const wflo_json *wflo_search(const char *knowledge, const char *question, uint32_t top, wflo_error *error) {
  static const wflo_code codes[] = {WFLO_ACCESS_DENIED, WFLO_UNKNOWN,     WFLO_REFUSED_BY_POLICY, WFLO_REJECTED,
                                    WFLO_INVALID,       WFLO_UNAVAILABLE, WFLO_OTHER};
  guest_string_t label = wflo_to_host(knowledge), query = wflo_to_host(question);
  wflo_knowledge_search_list_passage_t found;
  wflo_knowledge_search_error_t why;
  if (!wflo_knowledge_search_search(&label, &query, top, &found, &why)) {
    return wflo_refused(error, codes[why.tag], why.val.other);
  }
  wflo_json *passages = wflo_json_array();
  for (size_t at = 0; at < found.len; at++) {
    wflo_json *passage = wflo_json_object();
    wflo_json_set(passage, "source", wflo_json_string(wflo_from_host(found.ptr[at].source)));
    wflo_json_set(passage, "title", wflo_json_string(wflo_from_host(found.ptr[at].title)));
    wflo_json_set(passage, "text", wflo_json_string(wflo_from_host(found.ptr[at].text)));
    wflo_json_set(passage, "score", wflo_json_real(found.ptr[at].score));
    wflo_json_push(passages, passage);
  }
  return passages;
}

static void *failed(wflo_error *error, const wflo_infra_terraform_error_t *why) {
  static const wflo_code codes[] = {WFLO_ACCESS_DENIED, WFLO_INVALID,           WFLO_STALE,    WFLO_NOT_APPLIED,
                                    WFLO_LIMIT,         WFLO_REFUSED_BY_POLICY, WFLO_REJECTED, WFLO_UNAVAILABLE,
                                    WFLO_OTHER};
  return wflo_refused(error, codes[why->tag], why->val.other);
}

static wflo_json *string(guest_string_t text) { return wflo_json_string(wflo_from_host(text)); }

const wflo_json *wflo_terraform_state(const char *label, wflo_error *error) {
  guest_string_t of = wflo_to_host(label);
  wflo_infra_terraform_infrastructure_t state;
  wflo_infra_terraform_error_t why;
  if (!wflo_infra_terraform_state(&of, &state, &why)) return failed(error, &why);
  wflo_json *resources = wflo_json_array(), *made = wflo_json_object();
  for (size_t at = 0; at < state.resources.len; at++) {
    wflo_json *resource = wflo_json_object();
    wflo_json_set(resource, "address", string(state.resources.ptr[at].address));
    wflo_json_set(resource, "kind", string(state.resources.ptr[at].kind));
    wflo_json_set(resource, "values", wflo_json_from_host(state.resources.ptr[at].values));
    wflo_json_push(resources, resource);
  }
  wflo_json_set(made, "serial", wflo_json_integer((int64_t)state.serial));
  wflo_json_set(made, "outputs", wflo_json_from_host(state.outputs));
  return wflo_json_set(made, "resources", resources);
}

static wflo_json *changes(const wflo_infra_terraform_list_change_t *list) {
  static const char *const actions[] = {"create", "update", "replace", "delete"};
  wflo_json *made = wflo_json_array();
  for (size_t at = 0; at < list->len; at++) {
    wflo_json *change = wflo_json_object();
    wflo_json_set(change, "address", string(list->ptr[at].address));
    wflo_json_set(change, "action", wflo_json_string(actions[list->ptr[at].action]));
    wflo_json_push(made, change);
  }
  return made;
}

const wflo_json *wflo_terraform_plan(const char *label, const wflo_json *files, wflo_error *error) {
  guest_string_t of = wflo_to_host(label);
  wflo_infra_terraform_list_file_t list = {wflo_made(wflo_json_size(files) * sizeof *list.ptr), wflo_json_size(files)};
  for (size_t at = 0; at < list.len; at++) {
    list.ptr[at].path = wflo_to_host(wflo_json_name(files, at));
    list.ptr[at].content = wflo_to_host(wflo_json_text(wflo_json_at(files, at)));
  }
  wflo_infra_terraform_planned_t plan;
  wflo_infra_terraform_error_t why;
  if (!wflo_infra_terraform_plan(&of, &list, &plan, &why)) return failed(error, &why);
  wflo_json *made = wflo_json_object();
  wflo_json_set(made, "digest", string(plan.digest));
  wflo_json_set(made, "adds", wflo_json_integer(plan.adds));
  wflo_json_set(made, "changes", wflo_json_integer(plan.changes));
  wflo_json_set(made, "destroys", wflo_json_integer(plan.destroys));
  wflo_json_set(made, "resources", changes(&plan.resources));
  wflo_json_set(made, "outputs", changes(&plan.outputs));
  wflo_json_set(made, "text", string(plan.text));
  return wflo_json_set(made, "detail", wflo_json_from_host(plan.detail));
}

const wflo_json *wflo_terraform_apply(const char *label, const char *plan, wflo_error *error) {
  guest_string_t of = wflo_to_host(label), digest = wflo_to_host(plan);
  wflo_infra_terraform_applied_t applied;
  wflo_infra_terraform_error_t why;
  if (!wflo_infra_terraform_apply(&of, &digest, &applied, &why)) return failed(error, &why);
  wflo_json *made = wflo_json_object(), *resources = wflo_json_array();
  for (size_t at = 0; at < applied.resources.len; at++) wflo_json_push(resources, string(applied.resources.ptr[at]));
  wflo_json_set(made, "serial", wflo_json_integer((int64_t)applied.serial));
  wflo_json_set(made, "outputs", wflo_json_from_host(applied.outputs));
  return wflo_json_set(made, "resources", resources);
}
