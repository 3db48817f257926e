#include "greeting.h"

#include <stdio.h>
#include <string.h>

int main(void) {
  const char *said = greeting(" Ada ");
  if (strcmp(said, "Hello, Ada!") != 0) {
    printf("said \"%s\"\n", said);
    return 1;
  }
  puts("1 passed");
  return 0;
}
