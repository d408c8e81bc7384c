# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the tests of the tool have in common, for them to source. $rwkv6 is the tool, $subcommand (need not be set) what it is always
# asked for. Makes $work, a folder that goes when the test ends.
export LC_ALL=C
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
checks=0
failures=0

fail() {
  failures=$((failures + 1))
  echo "FAILED: $*" >&2
  sed 's/^/    /' "$work/stdout" "$work/stderr" >&2
}

# expect STATUS TEXT ARGUMENT...: runs the tool; its status must be STATUS, and what it prints must contain TEXT.
expect() {
  wanted=$1
  text=$2
  shift 2
  if [ -n "${subcommand-}" ]; then set -- "$subcommand" "$@"; fi
  checks=$((checks + 1))
  # shellcheck disable=SC2154 # the test's
  "$rwkv6" "$@" >"$work/stdout" 2>"$work/stderr"
  status=$?
  [ "$status" -eq "$wanted" ] || { fail "exit status $status instead of $wanted: rwkv6 $*"; return; }
  cat "$work/stdout" "$work/stderr" | grep -qF -- "$text" || fail "no \"$text\" in the output of: rwkv6 $*"
}

# check NAME COMMAND...: the command must succeed.
check() {
  name=$1
  shift
  checks=$((checks + 1))
  "$@" >"$work/checked" 2>&1 || { fail "$name"; cat "$work/checked" >&2; }
}

# finish NAME DETAILS: the last line, and the exit status.
finish() {
  if [ "$failures" -ne 0 ]; then
    echo "$1: $failures of $checks checks FAILED"
    exit 1
  fi
  echo "$1: all $checks checks passed ($2)"
}
