#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows what rwkv6cl does on this machine: installs what is missing, builds, lists the devices, computes the tensors in
# tests/golden forward and backward on the CPU path and on every OpenCL device, in each mode that the device has, and runs the
# examples on each device.
#
#     sh examples/run.sh
#
# Exit status 0: every result was right.
set -eu
cd "$(dirname -- "$0")/.."
. ./tests/setup/packages.sh
build="build-examples"
rwkv6=$build/src/cli/rwkv6

needed() {
  needed_to_build
  [ -n "${OCL_ICD_VENDORS:-}" ] || has_opencl_driver '*' || needed_for_a_device
}

# Drivers that run on the CPU, for a machine that has no other OpenCL device.
needed_for_a_device() {
  need pocl-opencl-icd has_opencl_driver pocl
  need mesa-opencl-icd has_opencl_driver rusticl
}

build() {
  [ -f "$build/build.ninja" ] || meson setup "$build" -Dtests=false -Dopencl=enabled || return 1
  ninja -C "$build"
}

# Drivers that run on the CPU take many seconds to compile a program of chunk mode: there, these cases, which share two of the
# eleven programs that all cases need.
few='all_minus_8 b2_t40_d32 bf16_ragged_reset one_spike reset_log reverse_t40 single_step strong_decay'

# Of the list of devices: "DEVICE MODE CASES [--no-backward]" for each mode that a device has; CASES: all or few.
modes() {
  awk '/^[a-z]+(:[0-9]+)?: / { device = $1; sub(/:$/, "", device) }
       /^ +kind / { slow = /OpenCL on the CPU/ }
       /^ +forward (recurrent|chunk) / { forward[$2] = $3 !~ /^none/ }
       /^ +backward (recurrent|chunk) / && forward[$2] {
         print device, $2, slow && $2 == "chunk" ? "few" : "all", $3 ~ /^none/ ? "--no-backward" : ""
       }'
}

# command_of DEVICE MODE CASES [--no-backward]
command_of() {
  folders='tests/golden/*/'
  # shellcheck disable=SC2086 # a list of words
  [ "$3" = all ] || folders=$(printf 'tests/golden/%s ' $few)
  echo "$rwkv6 run $folders --device $1 --mode $2 --out $build/results/$1-$2${4:+ $4}"
}

# Two of the examples bring OpenCL objects of their own.
examples_of() {
  echo attention train_step
  case $1 in opencl*) echo interop decode_server ;; esac
}

# Drivers keep what they compile on disk; what is shown afterwards starts at once and its times are those of computing. Of the
# examples, this one has kernels that no case has.
compile() {
  grep "^$1 " "$build/modes" | while read -r device mode cases options; do
    sh -c "$(command_of "$device" "$mode" "$cases" "$options")" || true
  done
  "$build/examples/train_step" "$1" || true
}

failed=0
show() {
  printf '\n$ %s\n\n' "$1"
  sh -c "$1" </dev/null || failed=$((failed + 1))
}

require needed
: "${RUSTICL_ENABLE=llvmpipe}" # Mesa has no OpenCL device unless told so
: "${POCL_CACHE_DIR=$PWD/$build/kernels/pocl}" "${MESA_SHADER_CACHE_DIR=$PWD/$build/kernels/mesa}"
: "${RWKV6_CACHE_DIR=$PWD/$build/kernels/rwkv6}"
export RUSTICL_ENABLE POCL_CACHE_DIR MESA_SHADER_CACHE_DIR RWKV6_CACHE_DIR
mkdir -p "$build" "$POCL_CACHE_DIR" "$MESA_SHADER_CACHE_DIR"
started=$(date +%s)
echo "Building in $build"
build >"$build/log" 2>&1 || { cat "$build/log" >&2; exit 1; }

"$rwkv6" devices | grep -q '^opencl:' || require needed_for_a_device
show "$rwkv6 devices"
"$rwkv6" devices | modes >"$build/modes"
for device in $(grep '^opencl' "$build/modes" | cut -d ' ' -f 1 | uniq); do
  printf '\nCompiling kernels on %s\n' "$device"
  compile "$device" </dev/null >"$build/compile-$device.log" 2>&1 &
done
wait
while read -r device mode cases options; do
  show "$(command_of "$device" "$mode" "$cases" "$options")"
done <"$build/modes"
for device in $(cut -d ' ' -f 1 "$build/modes" | uniq); do
  for example in $(examples_of "$device"); do
    show "$build/examples/$example $device"
  done
done

printf '\nBuilt and ran in %s s. ' "$(($(date +%s) - started))"
if [ "$failed" -ne 0 ]; then
  echo "$failed of the commands above failed."
  exit 1
fi
echo "Everything was right."
