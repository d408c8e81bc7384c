# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Sourced by examples/run.sh and tests/run.sh: finds out what the machine lacks and installs it on Debian and its relatives.

# need PACKAGE COMMAND...: Debian package PACKAGE is missing unless the command succeeds.
need() {
  need_package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $need_package"
}

has_header() {
  echo "#include <$1>" | cc -E -
}

# The way in which the library opens it.
has_opencl_loader() {
  python3 -c 'import ctypes; ctypes.CDLL("libOpenCL.so.1")'
}

# has_opencl_driver PATTERN: a driver that the OpenCL loader would find.
has_opencl_driver() {
  # shellcheck disable=SC2086 # a pattern
  set -- /etc/OpenCL/vendors/$1.icd
  test -e "$1"
}

needed_to_build() {
  need gcc command -v cc
  need libc6-dev has_header stdio.h
  need meson command -v meson
  need ninja-build command -v ninja
  need pkg-config command -v pkg-config
  need python3 command -v python3
  need libcjson-dev pkg-config --exists libcjson
  need ocl-icd-opencl-dev has_header CL/cl.h
  need ocl-icd-libopencl1 has_opencl_loader
}

# A compiler for NVIDIA's GPUs.
needed_for_nvidia() {
  need clang-15 command -v clang-15
  need libclc-15 test -e /usr/lib/clc/nvptx64--nvidiacl.bc
}

# require FUNCTION: FUNCTION says with `need` what there has to be. Installs what is missing; ends the script if that fails.
require() {
  missing=
  "$1"
  [ -n "$missing" ] || return 0
  install_packages
  missing=
  "$1"
  [ -z "$missing" ] && return 0
  echo "Installed, and still not to be found:$missing" >&2
  exit 1
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    echo "Missing here; the names of the Debian packages that have it:$missing" >&2
    exit 1
  fi
  if [ "$(id -u)" -eq 0 ]; then
    as_root=
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=sudo
  else
    echo "Packages are missing, and installing them needs root. Please run:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
  fi
  echo "Installing$missing"
  apt update
  # shellcheck disable=SC2086 # a list of words
  apt install -y --no-install-recommends $missing
}

# apt WORD...: quiet unless it fails.
apt() {
  apt_output=$($as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" 2>&1 </dev/null) &&
    return 0
  printf '%s\napt-get %s failed\n' "$apt_output" "$*" >&2
  exit 1
}
