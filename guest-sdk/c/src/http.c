/* Requests over HTTP, and secrets in them. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How many redirects are followed: of GET and HEAD alone. */
#define REDIRECTS 5
/* Most of a body that an error shows. */
#define SHOWN 500

static const wflo_code CODES[] = {WFLO_ACCESS_DENIED, WFLO_INVALID,     WFLO_REFUSED_BY_POLICY, WFLO_REJECTED,
                                  WFLO_LIMIT,         WFLO_UNAVAILABLE, WFLO_UNAVAILABLE,       WFLO_OTHER};

static guest_list_u8_t body_of(const wflo_request *request) {
  if (request->body != NULL) return (guest_list_u8_t){(uint8_t *)request->body, request->body_size};
  if (request->json == NULL) return (guest_list_u8_t){0};
  const char *text = wflo_json_write(request->json);
  return (guest_list_u8_t){(uint8_t *)text, strlen(text)};
}

static char *lower(const char *name) {
  char *copy = (char *)wflo_bytes(name, strlen(name));
  for (char *at = copy; *at != 0; at++) *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
  return copy;
}

static guest_list_tuple2_string_list_u8_t sent(const wflo_request *request) {
  size_t size = 0;
  bool has_type = false;
  for (const wflo_header *it = request->headers; it != NULL && it->name != NULL; it++, size++) {
    has_type = has_type || strcasecmp(it->name, "content-type") == 0;
  }
  guest_list_tuple2_string_list_u8_t list = {wflo_made((size + 1) * sizeof(guest_tuple2_string_list_u8_t)), size};
  for (size_t at = 0; at < size; at++) {
    guest_string_t value = wflo_to_host(request->headers[at].value);
    list.ptr[at].f0 = wflo_to_host(lower(request->headers[at].name));
    list.ptr[at].f1 = (guest_list_u8_t){value.ptr, value.len};
  }
  if (request->body == NULL && request->json != NULL && !has_type) {
    guest_string_t value = wflo_to_host("application/json");
    list.ptr[list.len++] = (guest_tuple2_string_list_u8_t){wflo_to_host("content-type"), {value.ptr, value.len}};
  }
  return list;
}

static const wflo_header *received(const guest_list_tuple2_string_list_u8_t *list) {
  wflo_header *headers = wflo_made((list->len + 1) * sizeof *headers);
  for (size_t at = 0; at < list->len; at++) {
    headers[at].name = wflo_from_host(list->ptr[at].f0);
    headers[at].value = wflo_bytes(list->ptr[at].f1.ptr, list->ptr[at].f1.len);
  }
  return headers;
}

static const char *method_of(const wflo_request *request) { return request->method == NULL ? "GET" : request->method; }

static const wflo_response *once(const wflo_request *request, wflo_error *error) {
  wflo_http_client_request_t sending = {
      .method = wflo_to_host(method_of(request)),
      .url = wflo_to_host(request->url),
      .headers = sent(request),
      .body = body_of(request),
      .first_byte_ms = {.is_some = request->first_byte_ms != 0, .val = request->first_byte_ms},
  };
  /* A fragment is nothing to a server. */
  sending.url.len = strcspn(request->url, "#");
  wflo_http_client_response_t answer;
  wflo_http_client_error_t why;
  if (!wflo_http_client_send(&sending, &answer, &why)) return wflo_refused(error, CODES[why.tag], why.val.other);
  wflo_response *response = wflo_made(sizeof *response);
  response->status = answer.status;
  response->headers = received(&answer.headers);
  response->body = wflo_bytes(answer.body.ptr, answer.body.len);
  response->body_size = answer.body.len;
  return response;
}

/* The length of the scheme and the authority of an address. */
static size_t origin(const char *url) {
  const char *authority = strstr(url, "://");
  if (authority == NULL) return 0;
  authority += 3;
  return (size_t)(authority - url) + strcspn(authority, "/?#");
}

static char *joined(const char *a, size_t size, const char *b) {
  char *text = wflo_made(size + strlen(b) + 1);
  memcpy(text, a, size);
  strcpy(text + size, b);
  return text;
}

/* Where a redirect leads (RFC 3986, section 5, without the removal of dots). */
static const char *follow(const char *url, const char *location) {
  size_t whole = origin(url);
  if (origin(location) > 0) return location;
  if (strncmp(location, "//", 2) == 0) return joined(url, (size_t)(strstr(url, "://") - url) + 1, location);
  if (location[0] == '/') return joined(url, whole, location);
  size_t path = strcspn(url, "?#");
  if (location[0] == '?') return joined(url, path, location);
  while (path > whole && url[path - 1] != '/') path--;
  return path == whole ? joined(joined(url, whole, "/"), whole + 1, location) : joined(url, path, location);
}

static const wflo_header *without_credentials(const wflo_header *headers) {
  size_t size = 0, kept = 0;
  while (headers != NULL && headers[size].name != NULL) size++;
  wflo_header *made = wflo_made((size + 1) * sizeof *made);
  for (size_t at = 0; at < size; at++) {
    const char *name = headers[at].name;
    bool is_one = !strcasecmp(name, "authorization") || !strcasecmp(name, "cookie") || !strcasecmp(name, "x-api-key");
    if (!is_one) made[kept++] = headers[at];
  }
  return made;
}

const wflo_response *wflo_fetch(const wflo_request *request, wflo_error *error) {
  wflo_request next = *request;
  const char *method = method_of(request);
  bool may_follow = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  for (int left = may_follow ? REDIRECTS : 0;; left--) {
    const wflo_response *response = once(&next, error);
    if (response == NULL || left == 0) return response;
    int status = response->status;
    bool moved = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    const char *location = wflo_header_of(response, "location");
    if (!moved || location == NULL) return response;
    const char *url = follow(next.url, location);
    size_t from = origin(next.url), to = origin(url);
    if (from != to || strncasecmp(next.url, url, from) != 0) next.headers = without_credentials(next.headers);
    next.url = url;
  }
}

static void *status_of(int status, const char *body, size_t size, wflo_error *error) {
  /* Text is not cut within a character. */
  if (size > SHOWN) {
    size = SHOWN;
    while (size > 0 && ((unsigned char)body[size] & 0xc0) == 0x80) size--;
  }
  const char *shown = wflo_bytes(body, size);
  bool again = status >= 500 || status == 408 || status == 425 || status == 429;
  wflo_fail(error, again ? WFLO_RETRYABLE : WFLO_PERMANENT, "the server answered %d: %s", status, shown);
  if (error == NULL) return NULL;
  error->code = WFLO_HTTP_STATUS;
  error->status = status;
  return NULL;
}

bool wflo_success(const wflo_response *response, wflo_error *error) {
  if (response == NULL) return false;
  if (response->status >= 200 && response->status < 300) return true;
  return status_of(response->status, response->body, response->body_size, error) != NULL;
}

const char *wflo_header_of(const wflo_response *response, const char *name) {
  for (const wflo_header *it = response->headers; it->name != NULL; it++) {
    if (strcasecmp(it->name, name) == 0) return it->value;
  }
  return NULL;
}

const wflo_json *wflo_save(const wflo_request *request, const char *artifact, wflo_error *error) {
  wflo_artifact_http_request_t sending = {
      .method = wflo_to_host(method_of(request)),
      .url = wflo_to_host(request->url),
      .headers = sent(request),
      .body = body_of(request),
  };
  guest_string_t name = wflo_to_host(artifact);
  wflo_artifact_http_saved_t saved;
  wflo_artifact_types_error_t why;
  if (!wflo_artifact_http_save(&sending, &name, &saved, &why)) return wflo_artifact_refused(error, &why);
  if (saved.artifact.is_some) return wflo_json_from_host(saved.artifact.val);
  return status_of(saved.status, wflo_bytes(saved.body.ptr, saved.body.len), saved.body.len, error);
}

const wflo_response *wflo_publish(const char *url, const wflo_json *value, wflo_error *error) {
  wflo_request request = {.method = "POST", .url = url, .json = value == NULL ? wflo_json_null() : value};
  const wflo_response *response = wflo_fetch(&request, error);
  return wflo_success(response, error) ? response : NULL;
}

const char *wflo_secret(const char *label, wflo_error *error) {
  static const wflo_code codes[] = {WFLO_ACCESS_DENIED, WFLO_UNKNOWN, WFLO_OTHER};
  guest_string_t of = wflo_to_host(label), text;
  wflo_secret_secrets_error_t why;
  if (wflo_secret_secrets_placeholder(&of, &text, &why)) return wflo_from_host(text);
  return wflo_refused(error, codes[why.tag], why.val.other);
}
