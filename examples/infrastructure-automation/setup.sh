#!/bin/sh
# Makes what the example needs: `prod/`, a working copy of `infra/` that has been applied, and three people with a token
# each in `tokens/`. Safe to repeat: what is there already stays. `--reset` makes the working copy anew.
#
# WFLO names the `wflo` to use; TERRAFORM the terraform or OpenTofu.
set -eu
cd "$(dirname "$0")"
wflo=${WFLO:-wflo}
terraform=${TERRAFORM:-terraform}

for program in "$wflo" "$terraform"; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "error: \`$program\` is not there" >&2
        echo "hint: \`cargo xtask install\` installs wflo; set WFLO or TERRAFORM to the path of one that is elsewhere" >&2
        exit 1
    fi
done

case "${1-}" in
    "") ;;
    --reset) rm -rf prod ;;
    *)
        echo "usage: setup.sh [--reset]" >&2
        exit 2
        ;;
esac

if [ ! -d prod ]; then
    rm -rf .prod.new
    cp -r infra .prod.new
    (cd .prod.new && "$terraform" init -input=false && "$terraform" apply -input=false -auto-approve) >/dev/null
    mv .prod.new prod
    echo "prod: applied"
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

person sam sre-team
person sofia security-team
person mallory
