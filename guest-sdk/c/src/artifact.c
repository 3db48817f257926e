/* Artifacts. */
#include "internal.h"

#include <string.h>

/* Bytes that are asked of the host at a time. */
#define ASKED (256u << 10)

struct wflo_writer {
  wflo_artifact_store_own_writer_t host;
};

struct wflo_reader {
  wflo_artifact_store_own_reader_t host;
};

void *wflo_artifact_refused(wflo_error *error, const wflo_artifact_types_error_t *why) {
  static const wflo_code codes[] = {WFLO_ACCESS_DENIED, WFLO_UNKNOWN,     WFLO_LIMIT,       WFLO_INVALID, WFLO_REFUSED_BY_POLICY,
                                    WFLO_REJECTED,      WFLO_UNAVAILABLE, WFLO_UNAVAILABLE, WFLO_OTHER};
  return wflo_refused(error, codes[why->tag], why->val.other);
}

wflo_writer *wflo_create(const char *name, wflo_error *error) {
  guest_string_t of = wflo_to_host(name);
  wflo_writer *writer = wflo_made(sizeof *writer);
  wflo_artifact_types_error_t why;
  return wflo_artifact_store_create(&of, &writer->host, &why) ? writer : wflo_artifact_refused(error, &why);
}

bool wflo_write(wflo_writer *writer, const void *bytes, size_t size, wflo_error *error) {
  guest_list_u8_t list = {(uint8_t *)bytes, size};
  wflo_artifact_types_error_t why;
  wflo_artifact_store_borrow_writer_t borrowed = wflo_artifact_store_borrow_writer(writer->host);
  return wflo_artifact_store_method_writer_write(borrowed, &list, &why) || wflo_artifact_refused(error, &why);
}

const wflo_json *wflo_finish(wflo_writer *writer, wflo_error *error) {
  guest_string_t reference;
  wflo_artifact_types_error_t why;
  if (wflo_artifact_store_static_writer_finish(writer->host, &reference, &why)) return wflo_json_from_host(reference);
  return wflo_artifact_refused(error, &why);
}

static wflo_reader *opened(wflo_artifact_types_address_t *address, wflo_error *error) {
  wflo_reader *reader = wflo_made(sizeof *reader);
  wflo_artifact_types_error_t why;
  return wflo_artifact_store_open(address, &reader->host, &why) ? reader : wflo_artifact_refused(error, &why);
}

wflo_reader *wflo_open(const wflo_json *artifact, wflo_error *error) {
  const wflo_json *item = wflo_json_get(artifact, "item");
  wflo_artifact_types_address_t address = {
      .name = wflo_to_host(wflo_json_text(wflo_json_get(artifact, "artifact"))),
      .step = wflo_maybe(wflo_json_text(wflo_json_get(artifact, "step"))),
      .item = {.is_some = item != NULL, .val = (uint32_t)wflo_json_to_integer(item)},
  };
  return opened(&address, error);
}

wflo_reader *wflo_open_named(const char *name, wflo_error *error) {
  wflo_artifact_types_address_t address = {.name = wflo_to_host(name)};
  return opened(&address, error);
}

static wflo_artifact_store_borrow_reader_t borrowed(const wflo_reader *reader) {
  return wflo_artifact_store_borrow_reader(reader->host);
}

uint64_t wflo_size(const wflo_reader *reader) { return wflo_artifact_store_method_reader_size(borrowed(reader)); }

size_t wflo_read(wflo_reader *reader, void *into, size_t most, wflo_error *error) {
  size_t read = 0;
  while (read < most) {
    guest_list_u8_t bytes;
    wflo_artifact_types_error_t why;
    uint32_t asked = most - read < ASKED ? (uint32_t)(most - read) : ASKED;
    if (!wflo_artifact_store_method_reader_read(borrowed(reader), asked, &bytes, &why)) {
      wflo_artifact_refused(error, &why);
      return 0;
    }
    if (bytes.len == 0) break;
    memcpy((char *)into + read, bytes.ptr, bytes.len);
    read += bytes.len;
    guest_list_u8_free(&bytes);
  }
  return read;
}

void wflo_seek(wflo_reader *reader, uint64_t at) { wflo_artifact_store_method_reader_seek(borrowed(reader), at); }
void wflo_close(wflo_reader *reader) { wflo_artifact_store_reader_drop_own(reader->host); }
