#!/bin/sh
# SPDX-License-Identifier: MIT
# warm_start.sh PLAN_TIMES MILLISECONDS: processes that start at once share one program cache; a process that finds it full compiles
# nothing, although PoCL's own cache is empty, and makes each plan in less than MILLISECONDS (the best of five starts), whatever
# the batch that the cache was filled with.
set -u
plan_times=$1
limit=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder" "$unpacked"' EXIT
# PoCL unpacks binaries to files and syncs each: in memory, where there is such a place, the time is not that of a busy disk.
unpacked=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export RWKV6_CACHE_DIR="$folder/programs"
unset RWKV6_DEVICE

fail() {
  echo "$1"
  cat "$folder"/log* 2>/dev/null
  exit 1
}

all='forward-recurrent backward-recurrent forward-chunk backward-chunk many-heads'

# start NAME DIM KIND...: one process; fails unless it succeeds.
start() {
  name=$1
  shift
  "$plan_times" pthread "$@" >"$folder/times-$name" 2>"$folder/log-$name"
}

# start_alone NAME DIM KIND...: the same with a cache of PoCL's that is empty.
start_alone() {
  mkdir "$unpacked/$1"
  POCL_CACHE_DIR="$unpacked/$1" start "$@" || fail "process $1 failed"
}

# The kernels that PoCL has for a process, compiled or from our cache.
kernels_of() {
  (cd "$unpacked/$1" && find . -name '*.so' | sort)
}

if ! start first 64 forward-recurrent; then
  grep -q 'no device' "$folder/log-first" || fail "the first process failed"
  echo "skipped: $(head -n 1 "$folder/log-first")"
  exit 77
fi
grep -q '^compiled' "$folder/log-first" || fail "an empty cache gave a program"
rm -rf "$RWKV6_CACHE_DIR"

# A program that is kept has all its kernels, for launches of every size: other batches find nothing missing.
start_alone cold 16 forward-recurrent backward-recurrent forward-chunk segments
start_alone others 16 many-heads checkpoints more-segments
grep '^compiled' "$folder/log-others" && fail "compiled although it was in the cache"
[ "$(kernels_of cold | wc -l)" -ge 7 ] || fail "PoCL's kernels were not found"
[ "$(kernels_of cold)" = "$(kernels_of others)" ] || fail "kernels were missing in the cache: $(kernels_of cold; echo; kernels_of others)"
rm -rf "$RWKV6_CACHE_DIR"

# Four at once, on an empty cache. Their PoCL caches are the suite's, so that this is quick.
for i in 1 2 3 4; do
  start "$i" 64 forward-recurrent backward-recurrent &
  eval "process$i=$!"
done
for i in 1 2 3 4; do
  eval "wait \$process$i" || fail "process $i failed"
done
for file in "$RWKV6_CACHE_DIR"/*; do
  case $file in *.program) ;; *) fail "left in the cache: $file" ;; esac
done
grep -h 'program cache' "$folder"/log-? && fail "trouble with the cache"

# shellcheck disable=SC2086 # a list of words
start rest 64 $all || fail "a process failed"
for i in 1 2 3 4 5; do
  # shellcheck disable=SC2086
  start_alone "warm$i" 64 $all
  grep -e '^compiled' -e '^kept' "$folder/log-warm$i" && fail "compiled although it was in the cache"
  [ "$(grep -c '^from the cache' "$folder/log-warm$i")" -ge 4 ] || fail "fewer than four programs came from the cache"
done
echo "kind of plan, and the best time of a plan and of its first run, in milliseconds, PoCL's own cache empty:"
cat "$folder"/times-warm? | awk -v limit="$limit" '
  !($1 in plan) || $2 < plan[$1] { plan[$1] = $2 }
  !($1 in run) || $3 < run[$1] { run[$1] = $3 }
  END {
    for (name in plan) {
      print name, plan[name], run[name]
      if (plan[name] >= limit || run[name] >= limit) slow = 1
    }
    exit slow
  }' || fail "not under $limit ms"
