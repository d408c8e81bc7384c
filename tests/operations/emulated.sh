#!/bin/sh
# SPDX-License-Identifier: MIT
# emulated.sh TOOL few|more: the kernels for matrix units on the engine's emulation, on the devices that conform.sh chooses: a case of
# each kernel, or all others. Each costs one or two programs that take long to compile; a device whose local memory is too small for one
# leaves it out, and llvmpipe, a software renderer, all but the first.
set -u
folder=$(dirname "$0")
# PoCL builds these kernels two to five times as fast without its optimizer, Intel's runtime three times as fast where it makes no vectors
# of work-items.
export POCL_EXTRA_BUILD_FLAGS=-cl-opt-disable CL_CONFIG_USE_VECTORIZER=False
checked=0

# check OPERATION CASE [VARIANTS]
check() {
  status=0
  sh "$folder/conform.sh" "$tool" --variant "${3:-emulated}" --operation "$1" --case "$2" || status=$?
  case $status in
  0) checked=$((checked + 1)) ;;
  2) echo "left out: $1, $2" ;;
  77) exit 77 ;;
  *) exit 1 ;;
  esac
}

tool=$1
is_llvmpipe() {
  case $("$tool" devices | sed -n "s/^${RWKV6_TEST_DEVICE:-all}: //p") in llvmpipe*) ;; *) return 1 ;; esac
}

few() {
  check chunk_forward "t=37 n=2 ragged=1 k=16 v=16 dtype=bf16 w=bf16 optional=15"
  ! is_llvmpipe || return
  # Few rows, against the portable kernels: where rounded operands move whole rows.
  check chunk_forward "n=2 t=1 k=16 v=16 dtype=bf16 w=bf16" portable,emulated
  # Products of 128 work-items, of one group of them and of two, and where not all is bf16.
  check chunk_forward "t=192 n=2 h=2 k=64 v=64 dtype=bf16 w=bf16 dist=slow reverse=1 segment=64 seed=7" emulated,emulated_hopper
  check chunk_forward "t=260 k=128 v=256 dtype=bf16 w=bf16 decay=raw dist=rare reverse=1 strides=padded seed=3" emulated_hopper
  check chunk_forward "t=260 n=2 h=2 k=64 v=64 dtype=bf16 w=bf16 dist=rare precision=relaxed seed=7" emulated_hopper
  check chunk_forward "t=320 n=2 h=2 k=64 v=64 dtype=fp32 w=fp32 dist=slow reverse=1 segment=64 seed=7" emulated_hopper
  check chunk_backward "t=520 n=2 k=32 v=32 dtype=bf16 w=bf16 dist=slow optional=15 strides=fused segment=256"
}

more() {
  ! is_llvmpipe || exit 0
  check chunk_forward "t=300 n=3 ragged=1 h=2 k=64 v=64 dtype=bf16 w=bf16 dist=slow reverse=1 segment=128"
  check chunk_forward "t=70 n=2 k=64 v=32 dtype=fp32 w=fp32 decay=raw dist=spikes strides=fused"
  check chunk_forward "t=50 k=80 v=48 dtype=fp16 w=fp32 strides=padded memory=device"
  check chunk_forward "t=200 n=2 ragged=1 k=176 v=48 dtype=bf16 w=bf16 dist=rare memory=host segment=128"
  # Products of 128 work-items: chunks with quotients, without, and by turns; whole ones and a rest; aligned rows.
  check chunk_forward "t=200 n=3 ragged=1 h=2 k=64 v=64 dtype=bf16 w=bf16 dist=spikes optional=15 seed=7" emulated_hopper
  check chunk_forward "t=300 n=2 h=2 k=64 v=64 dtype=bf16 w=bf16 dist=rare optional=15 seed=7" emulated_hopper
  check chunk_forward "t=200 n=3 ragged=1 h=2 k=64 v=64 dtype=bf16 w=bf16 memory=host optional=15 seed=7" emulated_hopper
  check chunk_forward "t=131 n=2 h=3 k=64 v=128 dtype=bf16 w=bf16 decay=raw dist=resets strides=padded seed=7" emulated_hopper
  # Two groups of them: by turns, aligned and a rest; segments and launches.
  check chunk_forward "t=200 n=3 ragged=1 k=128 v=128 dtype=bf16 w=bf16 dist=rare memory=host optional=15 seed=3" emulated_hopper
  check chunk_forward "t=2100 k=128 v=128 dtype=bf16 w=bf16 dist=slow segment=1024 seed=7" emulated_hopper
  check chunk_forward "t=200 n=3 ragged=1 k=128 v=128 dtype=bf16 w=bf16 optional=15 precision=relaxed seed=7" emulated_hopper
  # Where not all is bf16: with quotients and without, by turns; mixed types, two tiles; rows of 16 bits beside sums in fp32.
  check chunk_forward "t=200 n=3 ragged=1 h=2 k=64 v=64 dtype=fp32 w=fp32 dist=spikes optional=15 seed=7" emulated_hopper
  check chunk_forward "t=300 n=2 h=2 k=64 v=64 dtype=fp32 w=fp32 dist=rare memory=host optional=15 seed=7" emulated_hopper
  check chunk_forward "t=131 n=2 h=3 k=64 v=128 dtype=bf16 w=fp32 decay=raw dist=resets strides=padded seed=7" emulated_hopper
  check chunk_forward "t=200 n=3 ragged=1 k=64 v=64 dtype=fp16 w=fp16 decay=factor memory=host scale=-0.3 seed=7" emulated_hopper
}

"$2"
[ "$checked" -gt 0 ]
