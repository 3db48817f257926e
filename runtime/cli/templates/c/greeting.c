#include "greeting.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *greeting(const char *name) {
  size_t size = strlen(name);
  while (size > 0 && isspace((unsigned char)name[size - 1])) size--;
  while (size > 0 && isspace((unsigned char)*name)) name++, size--;
  size_t room = size + sizeof "Hello, !";
  char *text = malloc(room);
  if (text == NULL) abort();
  snprintf(text, room, "Hello, %.*s!", (int)size, name);
  return text;
}
