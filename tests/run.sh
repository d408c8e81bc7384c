#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing and runs the whole suite in every build that must pass.
#
#     sh tests/run.sh [STEP...]      all steps, or those named: gcc valgrind no-opencl install clang sanitizers
#
# The last line is "N passed, N failed"; exit status 0 if nothing failed. What is missing and cannot be installed is a failure.
set -u
cd "$(dirname -- "$0")/.." || exit 1
. ./tests/setup/packages.sh
work=$PWD/build-tests

needed() {
  needed_to_build
  need g++ command -v c++
  need clang command -v clang
  need binutils command -v objdump
  need libcmocka-dev has_header cmocka.h
  need valgrind command -v valgrind
  need pocl-opencl-icd has_opencl_driver pocl
  need mesa-opencl-icd has_opencl_driver rusticl
  need oclgrind command -v oclgrind
}

# ---- one check, or one run of the suite: a line each, and what it printed only where it failed

begin() {
  name=$1
  log=$work/logs/$(printf %s "$name" | tr -c 'A-Za-z0-9+' -).log
  begun=$(date +%s)
}

# end PASSED FAILED SKIPPED: `results` has a line of numbers for each of these.
end() {
  line=$(printf '%-58s %4d passed %4d failed %4d skipped %5d s' "$name" "$1" "$2" "$3" "$(($(date +%s) - begun))")
  echo "$line"
  [ "$2" -eq 0 ] || tail -n 300 "$log" | sed 's/^/    /'
  echo "$1 $2" >>"$work/results"
}

# check NAME COMMAND...: passes if the command succeeds.
check() {
  begin "$1"
  shift
  (set -e; "$@") </dev/null >"$log" 2>&1
  # shellcheck disable=SC2181 # as a condition, set -e would have no effect in it
  if [ $? -eq 0 ]; then end 1 0 0; else end 0 1 0; fi
}

# suite NAME BUILD ARGUMENT...: `meson test`; each of its tests counts. A skipped one is a failure unless `may_skip` is yes.
may_skip=no
suite() {
  begin "$1"
  folder=$work/$2
  shift 2
  status=0
  base=${log##*/}
  meson test -C "$folder" --no-rebuild --print-errorlogs --logbase "${base%.log}" "$@" </dev/null >"$log" 2>&1 || status=$?
  good=$(count Ok)
  bad=$(($(count Fail) + $(count 'Unexpected Pass') + $(count Timeout)))
  skipped=$(count Skipped)
  [ $may_skip = yes ] || bad=$((bad + skipped))
  # No list of results at all, or a status that they do not explain.
  if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$good" -eq 0 ]; }; then bad=1; fi
  end "$good" "$bad" "$skipped"
}

count() {
  sed -n "s/^$1: *\([0-9]*\).*/\1/p" "$log" | grep . || echo 0
}

# suite_only TESTS NAME BUILD ARGUMENT..., suite_without ...: the tests whose whole names the pattern matches, or all others.
suite_only() {
  suite_of -Ex "$@"
}

suite_without() {
  suite_of -Evx "$@"
}

suite_of() {
  tests=$(meson test -C "$work/$4" --no-rebuild --list | sed -n 's:^rwkv6cl.* / ::p' | grep "$1" "$2")
  : "${tests:=none of that name}"
  shift 2
  set -f
  IFS='
'
  # shellcheck disable=SC2086 # one name a line
  set -- "$@" $tests
  unset IFS
  set +f
  suite "$@"
}

# devices BUILD: what there is besides the CPU path.
devices() {
  "$work/$1/src/cli/rwkv6" devices | sed -n 's/^\(opencl:[0-9]*\): .*/\1/p'
}

# on_devices FUNCTION LABEL BUILD: FUNCTION LABEL BUILD DEVICE for each OpenCL device, side by side: drivers compile most of the
# time, on one core each.
on_devices() {
  check "$2: PoCL and rusticl are there" has_required_devices "$3"
  for device in $(devices "$3"); do
    ("$1" "$2" "$3" "$device") &
  done
  wait
}

has_required_devices() {
  "$work/$1/src/cli/rwkv6" devices >"$work/devices-$1"
  grep 'platform  *Portable Computing Language' "$work/devices-$1"
  grep 'platform  *rusticl' "$work/devices-$1"
}

# build FOLDER OPTION...
build() {
  folder=$work/$1
  shift
  if [ -f "$folder/build.ninja" ]; then set -- --reconfigure "$@"; fi
  meson setup "$folder" -Dwerror=true "$@"
  ninja -C "$folder"
}

# ---- the steps; each is a process of its own

# The compiler's defaults: everything.
step_gcc() {
  suite_without '.* o[nf] OpenCL devices' "gcc, release: suite" gcc
  on_devices everything "gcc, release" gcc
}

everything() {
  export RWKV6_TEST_DEVICE="$3"
  suite_only '.* o[nf] OpenCL devices' "$1: suite on $3" "$2"
  check "$1: tool on $3" sh tests/cli/test_tool.sh "$work/$2/src/cli/rwkv6" tests/golden "$3" recurrent
  check "$1: example on $3" "$work/$2/examples/attention" "$3"
}

# The kernels are the same, so host code is what another compiler and the sanitizers check: one combination in four.
step_clang() {
  export CC=clang CXX=clang++
  check "clang, release: build" build clang -Dopencl=enabled
  suite "clang, release: suite but operations" clang --no-suite operations
  on_devices some "clang, release" clang
}

some() {
  export RWKV6_TEST_DEVICE="$3"
  check "$1: a third of quick conformance on $3" "$work/$2/src/cli/rwkv6" conform --device "$3" --quick --part 1/3 --seed 1
}

# Only our own drivers: some that a machine may have as well end a sanitized program while they load.
step_sanitizers() {
  mkdir -p "$work/drivers"
  cp /etc/OpenCL/vendors/pocl.icd /etc/OpenCL/vendors/rusticl.icd "$work/drivers"
  export OCL_ICD_VENDORS="$work/drivers" UBSAN_OPTIONS=print_stacktrace=1
  export LSAN_OPTIONS="suppressions=$PWD/tests/setup/leaks.txt:print_suppressions=0"
  check "gcc, sanitizers: build" build sanitizers -Dopencl=enabled -Dbuildtype=debugoptimized \
    -Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=undefined
  suite_without '.* o[nf] OpenCL devices' "gcc, sanitizers: suite" sanitizers --timeout-multiplier 4
  on_devices most "gcc, sanitizers" sanitizers
}

most() {
  some "$@"
  # All but `operations`.
  suite_only '([^o]|o[^p]).* o[nf] OpenCL devices' "$1: suite on $3" "$2" --timeout-multiplier 4
}

# The CPU path, in a build that has no OpenCL.
step_valgrind() {
  may_skip=yes
  check "gcc, -Dopencl=disabled: build" build no-opencl -Dopencl=disabled -Dbuildtype=debugoptimized
  suite "gcc, -Dopencl=disabled: suite" no-opencl
  memcheck='valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect'
  suite_without '.* o[nf] OpenCL devices|without .*|operations .*|peers .*|long sequences .*|cli-tool|header .*|exported .*' \
    "valgrind: suite, CPU path" no-opencl --wrap "$memcheck" --timeout-multiplier 20
  # shellcheck disable=SC2086 # a list of words
  check "valgrind: operations on the CPU path" \
    $memcheck "$work/no-opencl/src/cli/rwkv6" conform --device cpu --quick --part 1/3 --seed 1
  for mode in recurrent chunk; do
    # shellcheck disable=SC2086
    check "valgrind: tool, $mode" $memcheck \
      "$work/no-opencl/src/cli/rwkv6" run tests/golden/*/ --device cpu --mode $mode --out "$work/tool-$mode"
  done
}

# The same programs as in the first step where the loader finds no OpenCL library: an empty file in its place cannot be loaded.
step_no_opencl() {
  may_skip=yes
  mkdir -p "$work/no-library"
  : >"$work/no-library/libOpenCL.so.1"
  : >"$work/no-library/libOpenCL.so"
  export LD_LIBRARY_PATH="$work/no-library"
  check "no libOpenCL: the tool says so" says_no_opencl
  # Oclgrind's test asks for the loader where Oclgrind is installed.
  suite_without 'tiny cases under Oclgrind' "no libOpenCL: suite" gcc
}

says_no_opencl() {
  "$work/gcc/src/cli/rwkv6" devices
  "$work/gcc/src/cli/rwkv6" devices | grep 'no OpenCL on this machine'
}

# What a user of the library has: header, shared and static library, rwkv6cl.pc and the tool.
step_install() {
  root=$work/installed
  rm -rf "$root"
  check "install" env DESTDIR="$root" meson install -C "$work/gcc" --no-rebuild
  check "install: the example through pkg-config" build_against shared examples/attention.c
  check "install: the example, linked statically" build_against static examples/attention.c
  # shellcheck disable=SC2016 # backquotes of Markdown
  sed -n '/^```c$/,/^```$/{/^```/!p}' README.md >"$work/readme.c"
  check "install: the program in README.md" build_against shared "$work/readme.c"
}

# build_against shared|static SOURCE: compiles, links and runs it.
build_against() {
  pc=$(find "$root" -name rwkv6cl.pc)
  export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$root"
  library=$(pkg-config --variable=libdir rwkv6cl)
  case $library in "$root"*) ;; *) library=$root$library ;; esac
  if [ "$1" = static ]; then
    libraries="$library/librwkv6cl.a $(pkg-config --static --libs-only-l rwkv6cl | sed 's/-lrwkv6cl//')"
  else
    libraries=$(pkg-config --libs rwkv6cl)
  fi
  # shellcheck disable=SC2046,SC2086 # lists of words
  cc -std=c11 -Wall -Wextra -Werror $(pkg-config --cflags rwkv6cl) "$2" -o "$work/user-$1" $libraries -lm
  LD_LIBRARY_PATH=$library RWKV6_DEVICE=cpu "$work/user-$1"
}

# ---- all of it

# lane STEP...: those that were asked for, one after the other.
lane() {
  for step; do
    case " $wanted " in *" $step "*) ("step_$(echo "$step" | tr - _)") ;; esac
  done
}

all='gcc valgrind no-opencl install clang sanitizers'
wanted=${*:-$all}
for step in $wanted; do
  case " $all " in *" $step "*) ;; *) echo "no step \"$step\"; there is: $all" >&2; exit 2 ;; esac
done

started=$(date +%s)
require needed
mkdir -p "$work/logs" "$work/kernels/pocl" "$work/kernels/mesa"
: >"$work/results"
unset RWKV6_DEVICE RWKV6_TEST_DEVICE RWKV6_TEST_REQUIRE RWKV6_KERNEL_DIR
export RUSTICL_ENABLE="${RUSTICL_ENABLE-llvmpipe}"
export POCL_CACHE_DIR="$work/kernels/pocl" MESA_SHADER_CACHE_DIR="$work/kernels/mesa"
echo "Packages: $(($(date +%s) - started)) s. Steps: $wanted. What they print: $work/logs"
check "gcc, release: build" build gcc -Dopencl=enabled
# Drivers that compile keep the first lane busy, on about one core each; what the other builds need of kernels is on disk then.
lane gcc &
lane valgrind no-opencl install clang sanitizers &
wait

echo "All of it: $(($(date +%s) - started)) s"
awk '{ passed += $1; failed += $2 } END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' "$work/results"
