#!/bin/sh
# SPDX-License-Identifier: MIT
# without_opencl.sh TEST-API TOOL TEST-STORAGE: a machine without libOpenCL. An empty file in its place cannot be loaded, so the
# library must say why, the CPU path must work, and tests of OpenCL devices must be skipped, or fail where devices are required.
set -u
api=$1
tool=$2
storage=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
: >"$folder/libOpenCL.so.1"
: >"$folder/libOpenCL.so"
export LD_LIBRARY_PATH="$folder"
unset RWKV6_TEST_REQUIRE RWKV6_TEST_DEVICE RWKV6_DEVICE

expect() {
  wanted=$1
  shift
  status=0
  "$@" >"$folder/output" 2>&1 || status=$?
  if [ "$status" != "$wanted" ]; then
    cat "$folder/output"
    echo "exit status $status instead of $wanted: $*"
    exit 1
  fi
}

expect 0 "$api"
expect 0 "$tool" conform --device cpu --quick --seed 1 --dtype fp32
expect 77 "$tool" conform --device opencl:0
grep -q OpenCL "$folder/output" || { echo "no reason for the absent device"; exit 1; }
expect 77 "$storage"
grep -q '^skipped: .*OpenCL' "$folder/output" || { echo "no reason for the skip"; exit 1; }
expect 1 env RWKV6_TEST_REQUIRE=pocl "$storage"
