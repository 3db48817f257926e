#!/bin/sh
# Compiles what of the SDK needs no host with the machine's compiler, and tests it.
set -eu
cd "$(dirname "$0")/.."
mkdir -p target
${CC:-cc} -std=gnu17 -Wall -Wextra -Werror -fsanitize=address,undefined -Iinclude -Isrc -o target/json tests/json.c src/json.c src/utf8.c
ASAN_OPTIONS=detect_leaks=0 target/json
