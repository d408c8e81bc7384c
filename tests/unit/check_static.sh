#!/bin/sh
# SPDX-License-Identifier: MIT
# check_static.sh LIBRARY: a program that links the static library gets no global name without our prefix, and links no OpenCL.
set -eu
symbols=$(nm -g "$1" 2>/dev/null | awk 'NF == 3 { print "defined", $3 } NF == 2 && $1 == "U" { print "needed", $2 }')
case $symbols in
  *'defined rwkv6_run'*) ;;
  *) echo "rwkv6_run is not defined: is this the library?"; exit 1 ;;
esac
# Sanitizers and coverage bring names of their own.
foreign=$(printf '%s\n' "$symbols" | sed -n 's/^defined //p' | grep -v -e '^rwkv6_' -e '^__' || true)
opencl=$(printf '%s\n' "$symbols" | sed -n 's/^needed //p' | grep '^cl[A-Z]' || true)
[ -z "$foreign$opencl" ] || { echo "foreign names: $foreign $opencl"; exit 1; }
