/* The steps. */
#include <wflo.h>

#include "greeting.h"

static wflo_json *hello(wflo_error *error) {
  const char *name = wflo_json_text(wflo_input("name"));
  if (name == NULL) return wflo_fail(error, WFLO_PERMANENT, "`name` is no text");
  wflo_log(WFLO_INFO, "greeting", wflo_json_set(wflo_json_object(), "name", wflo_json_string(name)));
  return wflo_json_set(wflo_json_object(), "text", wflo_json_string(greeting(name)));
}

const wflo_step wflo_steps[] = {
    {.name = "hello", .summary = "Greet whoever is named", .run = hello},
    {0},
};
