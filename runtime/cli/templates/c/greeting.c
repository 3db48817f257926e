#include "greeting.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char GREETING[] = "Hello, %.*s!";

char *greeting(const char *name) {
  size_t size = strlen(name);
  while (size > 0 && isspace((unsigned char)name[size - 1])) size--;
  while (size > 0 && isspace((unsigned char)*name)) name++, size--;
  size_t room = size + sizeof GREETING;
  char *text = malloc(room);
  if (text == NULL) abort();
  snprintf(text, room, GREETING, (int)size, name);
  return text;
}
