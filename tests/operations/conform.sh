#!/bin/sh
# SPDX-License-Identifier: MIT
# conform.sh TOOL ARGUMENT...: `rwkv6 conform ARGUMENT...` on the devices that RWKV6_TEST_DEVICE and RWKV6_TEST_REQUIRE name, as in
# tests/support/devices.h: every OpenCL device, one (or cpu), 77 if there is none, a failure if a required one is absent.
set -u
tool=$1
shift
wanted=${RWKV6_TEST_DEVICE:-all}
listed=$("$tool" devices) || exit 1

for platform in $(echo "${RWKV6_TEST_REQUIRE:-}" | tr , ' '); do
  [ "$platform" != pocl ] || platform='portable computing language'
  if ! echo "$listed" | grep '^  platform ' | grep -qi "$platform"; then
    echo "RWKV6_TEST_REQUIRE: no device of platform \"$platform\""
    exit 1
  fi
done

devices=$wanted
[ "$wanted" != all ] || devices=$(echo "$listed" | sed -n 's/^\(opencl:[0-9]*\): .*/\1/p')
if [ -z "$devices" ]; then
  echo "skipped: $(echo "$listed" | head -n 1)"
  exit 77
fi

worst=0
for device in $devices; do
  status=0
  "$tool" conform --device "$device" "$@" || status=$?
  # A device that was named and is not there is a failure.
  [ "$status" != 77 ] || status=1
  [ "$status" -le "$worst" ] || worst=$status
done
exit "$worst"
