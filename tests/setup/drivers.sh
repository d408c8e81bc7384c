# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Sourced by test scripts: the OpenCL drivers that tests run on, and no others that the machine may have. (Some end a sanitized
# program while they load: Intel's for GPUs.)

# intel_runtime FOLDER: Intel's OpenCL for CPUs of any vendor, from PyPI in a virtual environment; 276 MB to download, 807 MB there.
# intel-opencl-rt alone lacks libraries that come with intel-cmplr-lib-rt, and then there is no platform, without a word.
intel_runtime() {
  [ ! -e "$1/lib/libintelocl.so" ] || return 0
  rm -rf "$1"
  python3 -m venv "$1" || return 1
  "$1/bin/pip" install --quiet --disable-pip-version-check intel-opencl-rt==2026.2.0 intel-cmplr-lib-rt==2026.2.0 || return 1
  [ -e "$1/lib/libintelocl.so" ]
}

# use_drivers FOLDER PLATFORM...: from here on the OpenCL loader finds these (pocl, rusticl, intel) and no others. Intel's runtime is in
# FOLDER/intel.
use_drivers() {
  vendors=$1/vendors
  mkdir -p "$vendors"
  rm -f "$vendors"/*.icd
  echo "$1/intel/lib/libintelocl.so" >"$vendors/intel.icd"
  shift
  for driver in intel pocl rusticl; do
    case " $* " in
    *" $driver "*) [ $driver = intel ] || cp "/etc/OpenCL/vendors/$driver.icd" "$vendors" ;;
    *) rm -f "$vendors/$driver.icd" ;;
    esac
  done
  export OCL_ICD_VENDORS="$vendors"
}
