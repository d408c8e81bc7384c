#!/bin/sh
# SPDX-License-Identifier: MIT
# warm_start.sh PLAN_TIMES MILLISECONDS: processes that start at once share one program cache; a process that finds it full compiles
# nothing, although PoCL's own cache is empty, and makes each plan in less than MILLISECONDS (the best of five starts).
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

# start NAME ARGUMENT...: one process; fails unless it succeeds.
start() {
  name=$1
  shift
  "$plan_times" pthread "$@" >"$folder/times-$name" 2>"$folder/log-$name"
}

if ! start first 1; then
  grep -q 'no device' "$folder/log-first" || fail "the first process failed"
  echo "skipped: $(head -n 1 "$folder/log-first")"
  exit 77
fi
grep -q '^compiled' "$folder/log-first" || fail "an empty cache gave a program"
rm -rf "$RWKV6_CACHE_DIR"

# Four at once, on an empty cache. Their PoCL caches are the suite's, so that this is quick.
for i in 1 2 3 4; do
  start "$i" 2 &
  eval "process$i=$!"
done
for i in 1 2 3 4; do
  eval "wait \$process$i" || fail "process $i failed"
done
for file in "$RWKV6_CACHE_DIR"/*; do
  case $file in *.program) ;; *) fail "left in the cache: $file" ;; esac
done
grep -h 'program cache' "$folder"/log-? && fail "trouble with the cache"

start rest || fail "a process failed"
for i in 1 2 3 4 5; do
  mkdir "$unpacked/$i"
  POCL_CACHE_DIR="$unpacked/$i" start "warm$i" || fail "warm process $i failed"
  grep '^compiled' "$folder/log-warm$i" && fail "compiled although it was in the cache"
  [ "$(grep -c '^from the cache' "$folder/log-warm$i")" -ge 4 ] || fail "fewer than four programs came from the cache"
done
echo "operation, mode, and the best time of a plan and of its first run, in milliseconds, PoCL's own cache empty:"
cat "$folder"/times-warm? | awk -v limit="$limit" '
  { name = $1 " " $2 }
  !(name in plan) || $3 < plan[name] { plan[name] = $3 }
  !(name in run) || $4 < run[name] { run[name] = $4 }
  END {
    for (name in plan) {
      print name, plan[name], run[name]
      if (plan[name] >= limit || run[name] >= limit) slow = 1
    }
    exit slow
  }' || fail "not under $limit ms"
