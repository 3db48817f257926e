/* Text that is none: what is no UTF-8 (RFC 3629) does not get past the host. */
#ifndef WFLO_UTF8_H
#define WFLO_UTF8_H

#include <stddef.h>

/* How many bytes of a text are UTF-8, from its beginning. */
size_t wflo_utf8(const char *text);
/* A text with U+FFFD in the place of each byte that is no UTF-8. */
const char *wflo_legible(const char *text);

#endif
