/* What the files of the SDK share. No part of its interface. */
#ifndef WFLO_INTERNAL_H
#define WFLO_INTERNAL_H

#include "guest.h"
#include "utf8.h"
#include "wflo.h"

/* Memory of zeros; it ends the step when there is none. */
void *wflo_made(size_t size);
/* Text for the host, which borrows it; NULL is empty. */
guest_string_t wflo_to_host(const char *text);
guest_option_string_t wflo_maybe(const char *text);
guest_list_string_t wflo_texts(const char *const *texts);
/* What the host gave, with a zero after it. */
const char *wflo_bytes(const void *bytes, size_t size);
const char *wflo_from_host(guest_string_t text);
const wflo_json *wflo_json_from_host(guest_string_t text);
/* Fills in an error of the host. Always NULL. */
void *wflo_refused(wflo_error *error, wflo_code code, guest_string_t message);
void *wflo_artifact_refused(wflo_error *error, const wflo_artifact_types_error_t *why);

#endif
