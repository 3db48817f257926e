/* What the files of the suite share. */
#ifndef SUITE_H
#define SUITE_H

#include <wflo.h>

/* The code of an error as the suite writes it; "none" if there is none. */
wflo_json *kind(const wflo_error *error);
/* A path of the test's own server. */
const char *site(const char *path);
/* `set(object, "a", value)`, as often as wanted. */
#define set wflo_json_set

wflo_json *messages(wflo_error *error);
wflo_json *publish(wflo_error *error);
wflo_json *knowledge(wflo_error *error);
wflo_json *artifacts(wflo_error *error);
wflo_json *rows(wflo_error *error);
wflo_json *infra(wflo_error *error);

#endif
