#!/bin/sh
# Makes what the example needs: 40 items with the site's table of them, and two people with a token each in `tokens/`.
# Safe to repeat: what is there already stays. `--items N` makes N items anew, none of them decided.
#
# WFLO names the `wflo` to use; MODERATION_DATA the program that makes the items, if it is built already.
set -eu
cd "$(dirname "$0")"
wflo=${WFLO:-wflo}

if ! command -v "$wflo" >/dev/null 2>&1; then
    echo "error: \`$wflo\` is not there" >&2
    echo "hint: \`cargo xtask install\` installs it, or set WFLO to the path of one" >&2
    exit 1
fi

items=
case "${1-}" in
    "") [ -f site.db ] || items=40 ;;
    --items) items=${2:?"usage: setup.sh [--items N]"} ;;
    *)
        echo "usage: setup.sh [--items N]" >&2
        exit 2
        ;;
esac

if [ -n "$items" ]; then
    if [ -n "${MODERATION_DATA-}" ]; then
        "$MODERATION_DATA" . --items "$items"
    else
        cargo run --quiet --package moderation-data -- . --items "$items"
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

person marta moderation-team
person mallory
