#!/bin/sh
# Makes what the example needs: the warehouse, and two people with a token each in `tokens/`. Safe to repeat: what is
# there already stays. `--reset` makes the warehouse anew, so that nothing is loaded.
#
# WFLO names the `wflo` to use; ETL_DATA the program that makes the warehouse, if it is built already.
set -eu
cd "$(dirname "$0")"
wflo=${WFLO:-wflo}

if ! command -v "$wflo" >/dev/null 2>&1; then
    echo "error: \`$wflo\` is not there" >&2
    echo "hint: \`cargo xtask install\` installs it, or set WFLO to the path of one" >&2
    exit 1
fi

reset=
case "${1-}" in
    "") ;;
    --reset) reset=yes ;;
    *)
        echo "usage: setup.sh [--reset]" >&2
        exit 2
        ;;
esac

if [ -n "$reset" ] || [ ! -f warehouse.db ]; then
    if [ -n "${ETL_DATA-}" ]; then
        "$ETL_DATA" warehouse warehouse.db
    else
        cargo run --quiet --package etl-data -- warehouse warehouse.db
    fi
fi

# Whoever holds a token is that person.
umask 077
mkdir -p tokens

# A token is good for the store that it was made in: where that is gone, everybody gets a new one.
[ -d .wflo ] || rm -f tokens/*

# person NAME [GROUP]: the token reaches its file whole or not at all.
person() {
    if [ -s "tokens/$1" ]; then
        return
    fi
    "$wflo" identity add "$1" ${2:+--group "$2"} >"tokens/.$1.new"
    mv "tokens/.$1.new" "tokens/$1"
    echo "tokens/$1: $1${2:+, of $2}"
}

person dana data-team
person mallory
