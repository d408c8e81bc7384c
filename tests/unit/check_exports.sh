#!/bin/sh
# SPDX-License-Identifier: MIT
# check_exports.sh LIBRARY HEADER...: the shared library exports names with our prefix only, and needs no OpenCL to load.
set -eu
library=$1
symbols=$(nm -D --defined-only --extern-only "$library" | awk '{print $NF}' | sed 's/@.*//')
case $symbols in
  *rwkv6_run*) ;;
  *) echo "rwkv6_run is not exported: is this the library?"; exit 1 ;;
esac
foreign=$(printf '%s\n' "$symbols" | grep -v '^rwkv6_' | grep -v -x -e _init -e _fini || true)
if [ -n "$foreign" ]; then
  echo "exported without the prefix rwkv6_:"
  printf '%s\n' "$foreign"
  exit 1
fi
# Internal functions have the prefix as well: only what the public headers declare may come out.
shift
internal=
for symbol in $(printf '%s\n' "$symbols" | grep '^rwkv6_'); do
  cat "$@" | grep -q "[ *]$symbol(" || internal="$internal $symbol"
done
if [ -n "$internal" ]; then
  echo "exported but not in a public header:$internal"
  exit 1
fi
if objdump -p "$library" | grep -i 'NEEDED.*opencl'; then
  echo "linked with OpenCL; it must be opened at run time"
  exit 1
fi
