#include "utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes the character here has; 0 for what is none, and at the end. */
static size_t character(const unsigned char *at) {
  unsigned first = at[0];
  if (first < 0x80) return first != 0;
  size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (size_t n = 1; n < size; n++) {
    if ((at[n] & 0xc0) != 0x80) return 0;
  }
  bool is_overlong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90);
  bool is_beyond = (first == 0xed && at[1] >= 0xa0) || (first == 0xf4 && at[1] >= 0x90);
  return is_overlong || is_beyond ? 0 : size;
}

size_t wflo_utf8(const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  for (size_t size = character(at); size > 0; size = character(at)) at += size;
  return (size_t)((const char *)at - text);
}

const char *wflo_legible(const char *text) {
  if (text == NULL || text[wflo_utf8(text)] == 0) return text;
  char *legible = calloc(strlen(text) * 3 + 1, 1), *end = legible;
  if (legible == NULL) abort();
  while (*text != 0) {
    size_t size = wflo_utf8(text);
    memcpy(end, text, size);
    end += size, text += size;
    if (*text == 0) break;
    memcpy(end, "\xef\xbf\xbd", 3);
    end += 3, text++;
  }
  return legible;
}
