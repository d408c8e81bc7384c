#!/bin/sh
# SPDX-License-Identifier: MIT
# The library, its static checker and the tool on other machines.
#
#     sh tests/machines/run.sh [MACHINE...]     all, or those named: i686 aarch64 s390x windows
#
# Builds with each machine's compiler, warnings as errors, the OpenCL host code included; then runs the checker and the tool over
# the golden data on the CPU path, by qemu-user or wine where the processor or the system is another one. windows also runs on PoCL,
# to which wine's OpenCL.dll hands through, and a program that uses the DLL.
# The last line is "N passed, N failed"; exit status 0 if nothing failed.
set -u
cd "$(dirname -- "$0")/../.." || exit 1
. ./tests/setup/packages.sh
work=${RWKV6_TEST_WORK:-$PWD/build-tests}/machines

needed() {
  needed_to_build
  need dpkg-dev command -v dpkg-source
  for machine in $wanted; do
    case $machine in
    i686) need gcc-12-multilib test -e /usr/lib/gcc/x86_64-linux-gnu/12/32/libgcc.a ;;
    windows)
      need gcc-mingw-w64-x86-64 command -v x86_64-w64-mingw32-gcc
      need wine64 test -x /usr/lib/wine/wine64
      need pocl-opencl-icd has_opencl_driver pocl
      ;;
    *)
      need "gcc-$machine-linux-gnu" command -v "$machine-linux-gnu-gcc"
      need "$(cross_libc "$machine")" test -e "/usr/$machine-linux-gnu/include/stdio.h"
      need qemu-user command -v "qemu-$machine"
      ;;
    esac
  done
}

cross_libc() {
  case $1 in aarch64) echo libc6-dev-arm64-cross ;; *) echo "libc6-dev-$1-cross" ;; esac
}

# cJSON comes for one machine only, so its source package is compiled for the others.
fetch_cjson() {
  set -- "$work"/cjson/*/cJSON.c
  [ -f "$1" ] && return 0
  mkdir -p "$work/cjson/lists/partial"
  cd "$work/cjson" || return 1
  cat /etc/apt/sources.list /etc/apt/sources.list.d/debian*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >sources.list
  cat /etc/apt/sources.list.d/debian*.sources 2>/dev/null | sed 's/^Types:.*/Types: deb-src/' >debian.sources
  if [ -s debian.sources ]; then list=debian.sources; else list=sources.list; fi
  set -- -q -o "Dir::Etc::sourcelist=$PWD/$list" -o Dir::Etc::sourceparts=/nonexistent -o "Dir::State::lists=$PWD/lists" \
    -o APT::Sandbox::User=root
  apt-get "$@" update && apt-get "$@" source cjson
}

# cjson_for MACHINE COMPILER...: a static library, and a .pc file that pkg-config finds.
cjson_for() {
  prefix=$work/$1/prefix
  shift
  mkdir -p "$prefix/include/cjson"
  set -- "$@" -O2
  for source in "$work"/cjson/*/cJSON.c; do
    cp "${source%.c}.h" "$prefix/include/cjson/"
    "$@" -c "$source" -o "$prefix/cJSON.o"
  done
  ar rcs "$prefix/libcjson.a" "$prefix/cJSON.o"
  printf 'Name: libcjson\nDescription: cJSON\nVersion: 1.7.15\nCflags: -I%s/include\nLibs: -L%s -lcjson\n' "$prefix" "$prefix" \
    >"$prefix/libcjson.pc"
  # The OpenCL headers are the same everywhere.
  mkdir -p "$prefix/system" && ln -sfn /usr/include/CL "$prefix/system/CL"
  cat >"$prefix/cross.ini" <<INI
[properties]
pkg_config_libdir = '$prefix'
INI
}

compiler_of() {
  case $1 in
  i686) echo gcc -m32 ;;
  windows) echo x86_64-w64-mingw32-gcc ;;
  *) echo "$1-linux-gnu-gcc" ;;
  esac
}

build() {
  machine=$1
  # shellcheck disable=SC2046 # a compiler and its flags
  cjson_for "$machine" $(compiler_of "$machine")
  if [ -f "$work/$machine/build/build.ninja" ]; then again=--reconfigure; else again=; fi
  # shellcheck disable=SC2086 # empty or one word
  CFLAGS="-isystem $prefix/system" meson setup $again "$work/$machine/build" --cross-file "tests/machines/$machine.ini" \
    --cross-file "$prefix/cross.ini" -Dwerror=true -Dopencl=enabled -Dtests=false -Dchecker=true
  ninja -C "$work/$machine/build"
}

checker() {
  meson test -C "$work/$1/build" --no-rebuild --print-errorlogs --suite machines --verbose
}

# on MACHINE PROGRAM ARGUMENT...: runs a program of that machine.
on() {
  machine=$1
  program=$work/$1/build/$2
  shift 2
  case $machine in
  i686) set -- "$program" "$@" ;;
  windows) set -- /usr/lib/wine/wine64 "$program.exe" "$@" ;;
  *) set -- "qemu-$machine" -L "/usr/$machine-linux-gnu" "$program" "$@" ;;
  esac
  "$@"
}

tool() {
  rm -rf "$work/$1/out"
  on "$1" src/cli/rwkv6 devices
  for mode in recurrent chunk; do
    on "$1" src/cli/rwkv6 run tests/golden/*/ --device cpu --mode $mode --out "$work/$1/out/$mode"
  done
}

# A user's program, linked with the DLL.
windows_example() {
  WINEPATH="$work/windows/build/src" on windows examples/attention cpu
}

windows_pocl() {
  export OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd POCL_CACHE_DIR="${POCL_CACHE_DIR:-$work/kernels}"
  mkdir -p "$POCL_CACHE_DIR"
  on windows src/cli/rwkv6 devices | grep 'platform  *Portable Computing Language'
  on windows tests/machines/checker opencl:0 tests/golden
}

# check NAME COMMAND...
check() {
  log=$work/logs/$(printf %s "$1" | tr -c 'A-Za-z0-9+' -).log
  begun=$(date +%s)
  about=$1
  shift
  (set -e; "$@") </dev/null >"$log" 2>&1
  # shellcheck disable=SC2181 # as a condition, set -e would have no effect in it
  if [ $? -eq 0 ]; then
    passed=$((passed + 1)) verdict=passed
  else
    failed=$((failed + 1)) verdict=failed
  fi
  printf '%-58s %s %5d s\n' "$about" "$verdict" "$(($(date +%s) - begun))"
  [ $verdict = passed ] || tail -n 200 "$log" | sed 's/^/    /'
}

all='i686 aarch64 s390x windows'
wanted=${*:-$all}
for machine in $wanted; do
  case " $all " in *" $machine "*) ;; *) echo "no machine \"$machine\"; there is: $all" >&2; exit 2 ;; esac
done
require needed
mkdir -p "$work/logs"
export WINEDEBUG=-all WINEPREFIX="$work/wine"
passed=0 failed=0
check "source of cJSON" fetch_cjson
for machine in $wanted; do
  check "$machine: build" build "$machine"
  [ $verdict = passed ] || continue
  check "$machine: checker" checker "$machine"
  check "$machine: tool over the golden data" tool "$machine"
  [ "$machine" = windows ] || continue
  check "windows: example with the DLL" windows_example
  check "windows: checker on PoCL" windows_pocl
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
