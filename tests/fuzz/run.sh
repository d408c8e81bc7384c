#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the fuzz targets with clang's libFuzzer under the address and undefined-behaviour sanitizers.
#
#     sh tests/fuzz/run.sh [--seconds N] [TARGET...]    60 seconds for each target, or for those named
#
# Starts from tests/fuzz/corpus; what it finds that goes new ways is kept in build-tests/fuzz. An input that ends the program is
# kept as build-tests/fuzz/TARGET-crash-...: put it into tests/fuzz/corpus/TARGET once it is mended, and every build replays it.
# The last line is "N passed, N failed"; exit status 0 if nothing failed.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. ./tests/setup/packages.sh
work=${RWKV6_TEST_WORK:-$PWD/build-tests}/fuzz

needed() {
  needed_to_build
  need libcmocka-dev has_header cmocka.h
  need clang command -v clang
  need "libclang-rt-$(clang_version)-dev" has_libfuzzer
}

clang_version() {
  clang -dumpversion 2>/dev/null | grep -o '^[0-9]*' || echo 14
}

has_libfuzzer() {
  echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9; }' |
    clang -x c -fsanitize=fuzzer,address,undefined - -o /dev/null
}

seconds=60
if [ "${1-}" = --seconds ]; then
  seconds=$2
  shift 2
fi
require needed
mkdir -p "$work"
{
  [ -f "$work/build/build.ninja" ] || CC=clang CXX=clang++ meson setup "$work/build" -Dfuzz=true -Dwerror=true -Dexamples=false \
    -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
    -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined'
  ninja -C "$work/build" tests/fuzz/fuzz_npy tests/fuzz/fuzz_meta tests/fuzz/fuzz_cache_entry tests/fuzz/fuzz_problem \
    tests/fuzz/fuzz_operations
} >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log"; echo "0 passed, 1 failed"; exit 1; }

passed=0 failed=0
[ $# -gt 0 ] || set -- npy meta cache_entry problem operations
for target; do
  mkdir -p "$work/$target"
  if "$work/build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 -malloc_limit_mb=0 -print_final_stats=1 \
    -artifact_prefix="$work/$target-" "$work/$target" "tests/fuzz/corpus/$target" >"$work/$target.log" 2>&1; then
    passed=$((passed + 1)) verdict=passed
  else
    failed=$((failed + 1)) verdict=failed
  fi
  printf '%-12s %s, %s inputs\n' "$target" "$verdict" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")"
  [ $verdict = passed ] || tail -n 60 "$work/$target.log" | sed 's/^/    /'
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
