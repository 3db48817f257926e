#!/bin/sh
# The university, on loopback: papers to search, publications to make, mail. It serves until it is stopped.
#
# LITERATURE_DATA names the program, if it is built already.
set -eu
cd "$(dirname "$0")"
if [ -n "${LITERATURE_DATA-}" ]; then
    exec "$LITERATURE_DATA" --port 8093 --mail-port 8094 "$@"
fi
exec cargo run --quiet --package literature-data -- --port 8093 --mail-port 8094 "$@"
