#!/bin/sh
# SPDX-License-Identifier: MIT
# oclgrind.sh PROGRAM [ARGUMENT...]: runs tiny cases under Oclgrind; any race, stray access or uninitialized value it reports is a failure.
# Exits with 77 where it is not installed.
#
# The library opens the OpenCL loader at run time, so what the oclgrind command preloads would never be asked: Oclgrind goes
# in as a driver of the loader, and its options as the variables that the command sets (--data-races --uninitialized --log).
# Kernels are built without optimization: Oclgrind 21.10 does not know some instructions of LLVM's optimizer (freeze).
set -u
driver=
if command -v oclgrind >/dev/null; then
  prefix=$(dirname "$(dirname "$(command -v oclgrind)")")
  for candidate in "$prefix"/lib/oclgrind/liboclgrind-rt-icd.so "$prefix"/lib/*/oclgrind/liboclgrind-rt-icd.so; do
    if [ -f "$candidate" ]; then driver=$candidate; fi
  done
fi
if [ -z "$driver" ]; then
  echo "skipped: oclgrind is not installed"
  exit 77
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
OCL_ICD_VENDORS=$driver OCLGRIND_LOG=$log OCLGRIND_DATA_RACES=1 OCLGRIND_UNINITIALIZED=1 OCLGRIND_MAX_ERRORS=100 OCLGRIND_BUILD_OPTIONS=-cl-opt-disable \
  RWKV6_TEST_DEVICE=all RWKV6_TEST_REQUIRE=oclgrind "$@" || status=$?
# Its exit status is the program's own: the log decides.
if [ -s "$log" ]; then
  head -c 20000 "$log"
  exit 1
fi
exit "$status"
