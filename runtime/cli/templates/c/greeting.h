#ifndef GREETING_H
#define GREETING_H

/* What the step computes. It needs no host, so its tests need none. The caller frees it. */
char *greeting(const char *name);

#endif
