#!/bin/sh
# SPDX-License-Identifier: MIT
# Every kernel and variant, compiled for GPUs that are not here: Intel (ocloc), AMD (clang) and NVIDIA (clang, and ptxas where CUDA is).
#
#     sh tests/compilers/run.sh [--accept] [TARGET...]    all targets, or those named: skl tgllp dg2 pvc gfx90a ... sm_80 sm_90
#
# Compares with tests/compilers/resources.tsv and fails on a new spill or new scratch memory; --accept writes the table anew.
# Some minutes; what has been compiled before is not compiled again.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. ./tests/setup/packages.sh
work=${RWKV6_TEST_WORK:-$PWD/build-tests}/compilers

targets=
for word; do [ "$word" = --accept ] || targets="$targets $word"; done

# targeted PATTERN...: whether targets of such names are compiled for.
targeted() {
  [ -n "$targets" ] || return 0
  for target in $targets; do
    for pattern; do
      # shellcheck disable=SC2254 # a pattern
      case $target in $pattern) return 0 ;; esac
    done
  done
  return 1
}

needed() {
  needed_to_build
  need libcmocka-dev has_header cmocka.h
  if targeted skl tgllp dg2 pvc; then
    need intel-opencl-icd command -v ocloc
  fi
  if targeted 'gfx*'; then
    need clang-19 command -v clang-19
    need rocm-device-libs test -e /usr/lib/x86_64-linux-gnu/amdgcn/bitcode/ocml.bc
  fi
  if targeted 'sm_*'; then
    needed_for_nvidia
  fi
}

require needed
mkdir -p "$work"
{
  [ -f "$work/build/build.ninja" ] || meson setup "$work/build" -Dopencl=enabled -Dwerror=true
  ninja -C "$work/build" tests/compilers/programs
} >"$work/build.log" 2>&1 || { tail -n 50 "$work/build.log"; exit 1; }
python3 tests/compilers/resources.py "$work/build/tests/compilers/programs" "$work/sources" tests/compilers/resources.tsv "$@"
