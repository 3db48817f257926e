#!/bin/sh
# Makes what the example needs: two people, with a token each in `tokens/`. Safe to repeat: what is there already stays.
#
# WFLO names the `wflo` to use.
set -eu
cd "$(dirname "$0")"
wflo=${WFLO:-wflo}

if ! command -v "$wflo" >/dev/null 2>&1; then
    echo "error: \`$wflo\` is not there" >&2
    echo "hint: \`cargo xtask install\` installs it, or set WFLO to the path of one" >&2
    exit 1
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

person pia principal-investigator
person mallory
