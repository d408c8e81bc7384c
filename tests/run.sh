#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing and runs the tests in every build that must pass.
#
#     sh tests/run.sh [--quick|--full] [STEP...]
#
# --quick: one build, a part of the checks on each device. --full: also what takes longer or needs many packages. STEP: only these steps; an
# unknown name lists them.
#
# Steps are divided into jobs. As many jobs as there are processors run side by side; what they say is in build-tests/logs, and
# printed where something failed.
# The last line is "N passed, N failed"; exit status 0 if nothing failed. What is missing and cannot be installed is a failure.
set -u
cd "$(dirname -- "$0")/.." || exit 1
. ./tests/setup/packages.sh
. ./tests/setup/drivers.sh
work=$PWD/build-tests

# A step is a name here, a function plan_STEP that queues its jobs, and in needed() the packages that only it needs.
quick_steps='gcc install'
default_steps='gcc no-opencl valgrind no-library install clang sanitizers threads compilers'
full_steps="$default_steps machines fuzz"

# Platforms that have to be there, by the names that platform_name gives them.
required_platforms='intel pocl rusticl'

needed() {
  needed_to_build
  need binutils command -v objdump
  need cmake command -v cmake
  need g++ command -v c++
  need libcmocka-dev has_header cmocka.h
  need mesa-opencl-icd has_opencl_driver rusticl
  need oclgrind command -v oclgrind
  need pocl-opencl-icd has_opencl_driver pocl
  need python3-venv python3 -c 'import ensurepip'
  for step in $steps; do
    case $step in
    clang | valgrind) need "$step" command -v "$step" ;;
    compilers) needed_for_nvidia ;;
    esac
  done
}

# ---- one check, or one run of a suite: a line each

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

# script NAME COMMAND...: a script of tests with a last line like that of this one.
script() {
  begin "$1"
  shift
  "$@" </dev/null >"$log" 2>&1
  # shellcheck disable=SC2046 # two numbers
  set -- $(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log")
  if [ $# -eq 2 ]; then end "$1" "$2" 0; else end 0 1 0; fi
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

# suite_of TESTS WITHOUT NAME BUILD ARGUMENT...: the tests whose whole names the first pattern matches and the second does not.
suite_of() {
  tests=$(meson test -C "$work/$4" --no-rebuild --list | sed -n 's:^rwkv6cl.* / ::p' | grep -Ex "$1" | grep -Evx "$2")
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

# Patterns for names of tests.
none=
on_devices='.* o[nf] OpenCL devices'
operations='operations on OpenCL devices'
# These try what kernels can be built for, one program after another, and take the host's code the same way each time.
variations="(operations|golden|peers|limits|segments|parts|local memory|.*matrix units emulated) o[nf] OpenCL devices"
# The longest where compilers are slow, and conformance has what they vary: on Intel's runtime alone unless there is time.
long_variations="(golden|peers|limits|segments|more of matrix units emulated) o[nf] OpenCL devices"
golden='golden on OpenCL devices'
# Tests with a limit of time, which need the machine for themselves.
timed='warm start on PoCL'
planted='planted faults.*'
# What the sanitizers run as well, and see more of: not without them unless there is time.
by_sanitizers=faults
# --quick leaves it out.
slow_in_oclgrind='.*emulated under Oclgrind'
# Minutes of arithmetic, or of Python, which valgrind need not see: the sanitizers do, and conformance has pools.
slow_in_valgrind="(peers|pool) on .*|long sequences .*|agreement of variants|train step|side by side"
# The same in every build: scripts around the tool, and timing.
by_the_tool='cli-bench|side by side'

# build FOLDER OPTION...
build() {
  folder=$work/$1
  shift
  if [ -f "$folder/build.ninja" ]; then set -- --reconfigure "$@"; fi
  meson setup "$folder" -Dwerror=true "$@"
  ninja -C "$folder"
}

# ---- devices

# "ID PLATFORM" for each OpenCL device that a build finds.
devices() {
  "$work/$1/src/cli/rwkv6" devices | sed -n -e 's/^\(opencl:[0-9]*\): .*/\1/p' -e 's/^  platform  *//p' | while read -r id; do
    read -r platform
    echo "$id $(platform_name "$platform" "$id")"
  done
}

# platform_name PLATFORM ID: a short name, the same in every build; the id of a device that only some machines have.
platform_name() {
  case $1 in
  'Portable Computing Language'*) echo pocl ;;
  rusticl*) echo rusticl ;;
  'Intel(R) OpenCL'*) echo intel ;;
  *) echo "$2" ;;
  esac
}

has_required_platforms() {
  devices "$1"
  for platform in $required_platforms; do devices "$1" | grep " $platform\$"; done
}

# use BUILD PLATFORM: what comes next in this job runs on the device of that platform, whose id is `device`.
use() {
  device=$(devices "$1" | sed -n "s/ $2\$//p" | head -n 1)
  : "${device:=no device of $2}"
  echo "$2 ($1)" >>"$work/used"
  export RWKV6_TEST_DEVICE="$device"
  # The others' drivers keep what they have compiled; for a binary of it PoCL would compile every kernel twice.
  [ "$2" = intel ] || export RWKV6_CACHE_DIR=off
}

# With no other driver in the process.
use_pocl_alone() {
  export OCL_ICD_VENDORS="$OCL_ICD_VENDORS/pocl.icd" RWKV6_TEST_DEVICE=opencl:0 RWKV6_CACHE_DIR=off
}

# For what the host's code does with kernels, unless there is time: PoCL without its optimizer, Intel's runtime without vectors of
# work-items. Conformance has what they make of a kernel.
compile_quickly() {
  [ "$level" = full ] || export POCL_EXTRA_BUILD_FLAGS=-cl-opt-disable CL_CONFIG_USE_VECTORIZER=False
}

# ---- jobs: functions, with an argument if the name has one after a colon

# job NAME EARLIER...: queues a job, once. It starts when the jobs EARLIER, as far as they are queued, have ended.
job() {
  is_queued "$1" || echo "$*" >>"$work/jobs/queue"
}

is_queued() {
  grep -q -x -e "$1" -e "$1 .*" "$work/jobs/queue"
}

# Takes the first job that may start and prints its name; prints "wait" if all that are left have to wait, and nothing if none are.
take() {
  found=
  while read -r name earlier; do
    [ ! -e "$work/jobs/$name.taken" ] || continue
    found="wait"
    for other in $earlier; do
      if is_queued "$other" && [ ! -e "$work/jobs/$other.ended" ]; then continue 2; fi
    done
    mkdir "$work/jobs/$name.taken" 2>/dev/null || continue
    found=$name
    break
  done <"$work/jobs/queue"
  echo "$found"
}

run_job() {
  case $1 in
  *:*) "${1%%:*}" "${1#*:}" ;;
  *) "$1" ;;
  esac
}

# A job ends with the line of a check, which succeeds: anything else is a mistake in this script, or the machine's.
died() {
  begin "job $1 ended early"
  : >"$log"
  end 0 1 0
}

work_off() {
  while next=$(take) && [ -n "$next" ]; do
    if [ "$next" = wait ]; then
      sleep 1
      continue
    fi
    (run_job "$next") || died "$next"
    : >"$work/jobs/$next.ended"
  done
}

# ---- the steps. The gcc build, which most of them use, is there before the first job starts.

# The compiler's defaults: everything.
plan_gcc() {
  for platform in $platforms; do
    if [ "$level" = quick ]; then
      job "gcc_quick:$platform"
    else
      job "gcc_operations:$platform"
      job "gcc_device:$platform"
    fi
  done
  job gcc_suite
  [ "$level" = quick ] || job gcc_faults
}

gcc_suite() {
  echo "oclgrind (gcc, small cases)" >>"$work/used"
  left_out="$on_devices|$timed|$planted"
  case $level in
  quick) left_out="$left_out|$slow_in_oclgrind" ;;
  default) left_out="$left_out|$by_sanitizers" ;;
  esac
  suite_of '.*' "$left_out" "gcc: suite" gcc
}

# On PoCL, which builds a faulty kernel the fastest.
gcc_faults() {
  use_pocl_alone
  suite_of "$planted" "$none" "gcc: planted faults" gcc
}

# Intel's compiler is the fastest: it builds 51 programs of each kernel, PoCL 5, rusticl, which is the slowest, 4 unless there is time.
gcc_operations() {
  use gcc "$1"
  case $level:$1 in
  full:* | *:intel) suite_of "$operations" "$none" "gcc: operations on $1" gcc --setup kept ;;
  *:rusticl) quick_conformance gcc "$1" 1/4 ;;
  *) quick_conformance gcc "$1" 1/2 ;;
  esac
}

# quick_conformance BUILD PLATFORM PART
quick_conformance() {
  check "$1: quick conformance of $2, part $3" \
    "$work/$1/src/cli/rwkv6" conform --device "$device" --quick --part "$3" --seed 1
}

gcc_device() {
  use gcc "$1"
  case $level:$1 in
  full:* | *:intel)
    suite_of "$on_devices" "$operations|$long_variations" "gcc: suite on $1" gcc --setup kept
    suite_of "$golden" "$none" "gcc: golden cases on $1" gcc --setup kept
    check "gcc: tool on $1" sh tests/cli/test_tool.sh "$work/gcc/src/cli/rwkv6" tests/golden "$device"
    compile_quickly
    suite_of "$long_variations" "$golden" "gcc: variations on $1" gcc --setup kept
    ;;
  *)
    compile_quickly
    but="$operations|$long_variations"
    # There, kernels of all variants take a minute to compile for queues and events that the other programs of interop have too.
    [ "$1" != rusticl ] || but="$variations|interop on OpenCL devices"
    suite_of "$on_devices" "$but" "gcc: suite on $1" gcc --setup kept
    check "gcc: a golden case on $1" golden_case
    ;;
  esac
  for example in attention train_step interop decode_server; do
    check "gcc: $example on $1" "$work/gcc/examples/$example" "$device"
  done
}

# As a user runs it.
golden_case() {
  for mode in recurrent chunk; do
    "$work/gcc/src/cli/rwkv6" run tests/golden/bf16_ragged_reset --device "$device" --mode $mode --out "$work/golden-$device"
  done
}

gcc_quick() {
  use gcc "$1"
  suite_of 'failures of OpenCL devices' "$none" "gcc: failures of $1" gcc
  quick_conformance gcc "$1" 1/3
}

# A library without OpenCL.
plan_no_opencl() {
  job no_opencl_build
  job no_opencl_suite no_opencl_build
}

no_opencl_build() {
  check "no OpenCL: build" build no-opencl -Dopencl=disabled -Dbuildtype=debugoptimized
}

no_opencl_suite() {
  may_skip=yes
  suite_of '.*' "operations on the CPU path|$by_the_tool" "no OpenCL: suite" no-opencl
}

# The CPU path, in that build.
plan_valgrind() {
  job no_opencl_build
  job valgrind_cpu no_opencl_build
}

valgrind_cpu() {
  may_skip=yes
  memcheck=tests/setup/memcheck.sh
  rwkv6=$work/no-opencl/src/cli/rwkv6
  suite_of '.*' "$on_devices|$slow_in_valgrind" "valgrind: suite, CPU path" no-opencl --wrap "sh $PWD/$memcheck" \
    --timeout-multiplier 20
  # One of the ten sizes and types: 7 x 20 in fp16, with w in fp32; four of them, and timing, which the sanitizers have, if there is time.
  part=4/10
  if [ "$level" = full ]; then
    part=1/3
    check "valgrind: bench" sh $memcheck "$rwkv6" bench --device cpu --mode both --shape 3,9,2,8,5,ragged,states
  fi
  check "valgrind: operations on the CPU path" sh $memcheck "$rwkv6" conform --device cpu --quick --part $part --seed 1
  for mode in recurrent chunk; do
    check "valgrind: tool, $mode" sh $memcheck "$rwkv6" run tests/golden/*/ --device cpu --mode $mode --out "$work/tool-$mode"
  done
}

# The programs of the gcc build where the loader finds no OpenCL library: an empty file in its place cannot be loaded.
plan_no_library() {
  job no_library
}

no_library() {
  may_skip=yes
  mkdir -p "$work/no-library"
  : >"$work/no-library/libOpenCL.so.1"
  : >"$work/no-library/libOpenCL.so"
  export LD_LIBRARY_PATH="$work/no-library"
  check "no libOpenCL: the tool says so" says_no_opencl
  # Oclgrind's tests ask for the loader where Oclgrind is installed. The others are long, and never ask for it.
  suite_of '.*' ".* under Oclgrind|(operations|peers) on the CPU path|long sequences .*|faults|$by_the_tool|cli-npy" \
    "no libOpenCL: suite" gcc
}

says_no_opencl() {
  "$work/gcc/src/cli/rwkv6" devices
  "$work/gcc/src/cli/rwkv6" devices | grep 'no OpenCL on this machine'
}

# What a user of the library has: header, shared and static library, rwkv6cl.pc and the tool.
plan_install() {
  job installed
}

installed() {
  root=$work/installed
  rm -rf "$root"
  check "install" env DESTDIR="$root" meson install -C "$work/gcc" --no-rebuild
  check "install: the example through pkg-config" build_against shared examples/attention.c
  check "install: the example, linked statically" build_against static examples/attention.c
  # shellcheck disable=SC2016 # backquotes of Markdown
  sed -n '/^```c$/,/^```$/{/^```/!p}' README.md >"$work/readme.c"
  check "install: the program in README.md" build_against shared "$work/readme.c"
  for how in pkg-config static c++ cmake meson opencl; do
    check "install: a program outside of the repository, $how" \
      sh tests/consumers/run.sh "$how" "$root" "${TMPDIR:-/tmp}/rwkv6-consumer-$$"
  done
  rm -rf "${TMPDIR:-/tmp}/rwkv6-consumer-$$"
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

# Another compiler for the host code; the kernels are the same.
plan_clang() {
  job clang_suite
  [ "$level" != full ] || for platform in $platforms; do job "clang_device:$platform" clang_suite "gcc_operations:$platform"; done
}

clang_suite() {
  export CC=clang CXX=clang++
  check "clang: build" build clang -Dopencl=enabled
  suite_of '.*' "$by_the_tool" "clang: suite but operations and faults" clang --no-suite operations --no-suite faults
}

clang_device() {
  use clang "$1"
  quick_conformance clang "$1" 1/3
}

# Host code again, under the address and undefined-behaviour sanitizers. On devices after the gcc step, whose kernels the drivers
# have kept. Oclgrind is left out, as it watches kernels and takes minutes under a sanitizer; what is longest on the CPU path is
# shorter.
plan_sanitizers() {
  job sanitizers_build
  job sanitizers_suite sanitizers_build
  for platform in $required_platforms; do
    # No other host code than for the others, and slow.
    [ "$level:$platform" != default:rusticl ] || continue
    job "sanitizers_device:$platform" sanitizers_build "gcc_operations:$platform" "gcc_device:$platform"
  done
}

sanitizer_environment() {
  export UBSAN_OPTIONS=print_stacktrace=1
  # PoCL's LLVM puts a signal stack of its own into the thread that first calls it.
  export ASAN_OPTIONS=use_sigaltstack=0
  export LSAN_OPTIONS="suppressions=$PWD/tests/setup/leaks.txt:print_suppressions=0"
}

sanitizers_build() {
  check "sanitizers: build" build sanitizers -Dopencl=enabled -Dbuildtype=debugoptimized \
    -Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=undefined
}

sanitizers_suite() {
  sanitizer_environment
  suite_of '.*' "$on_devices|.* under Oclgrind|$timed|operations on the CPU path|long sequences .*|side by side" \
    "sanitizers: suite" sanitizers --timeout-multiplier 4
  check "sanitizers: quick conformance on the CPU path" "$work/sanitizers/src/cli/rwkv6" conform --device cpu --quick --seed 1
}

sanitizers_device() {
  sanitizer_environment
  use sanitizers "$1"
  but=$operations part=1/3
  [ "$level" = full ] || but=$variations part=4/10
  quick_conformance sanitizers "$1" $part
  compile_quickly
  suite_of "$on_devices" "$but" "sanitizers: suite on $1" sanitizers --setup kept --timeout-multiplier 4
}

# The host side under ThreadSanitizer. With PoCL alone in the process: it has nothing reported of its own.
plan_threads() {
  job threads gcc_device:pocl
}

threads() {
  use_pocl_alone
  compile_quickly
  check "threads: build" build threads -Dopencl=enabled -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false \
    -Dexamples=false
  check "threads: on pocl" "$work/threads/tests/operations/test_threads"
  check "threads: with queues of their own on pocl" "$work/threads/tests/operations/test_interop_threads"
  check "threads: programs built and kept on pocl" "$work/threads/tests/operations/test_program_threads"
  check "threads: with devices of their own on pocl" "$work/threads/tests/operations/test_thread_devices"
}

# Other processors and systems.
plan_machines() {
  job machines
}

machines() {
  script "other machines" sh tests/machines/run.sh
}

# Compilers for GPUs that are not here.
plan_compilers() {
  job compilers
}

compilers() {
  if [ "$level" = full ]; then
    script "compilers of other GPUs" sh tests/compilers/run.sh
    return
  fi
  # What no device here compiles as it is: kernels with inline PTX. (Without ptxas, instructions of sm_90a are comments still.)
  script "kernels of NVIDIA's matrix units, compiled" python3 tests/compilers/resources.py "$work/gcc/tests/compilers/programs" \
    "$work/compilers/sources" tests/compilers/resources.tsv --variants nvidia,hopper sm_90
}

# A minute of each fuzzer; the corpus is part of every suite.
plan_fuzz() {
  job fuzzers
}

fuzzers() {
  script "fuzzers, a minute each" sh tests/fuzz/run.sh
}

# ---- all of it

level=default
case ${1:-} in --quick | --full) level=${1#--}; shift ;; esac
steps=$default_steps
[ "$level" != quick ] || steps=$quick_steps
[ "$level" != full ] || steps=$full_steps
for step; do
  case " $full_steps " in *" $step "*) ;; *) echo "no step \"$step\"; there is: $full_steps" >&2; exit 2 ;; esac
done
steps=${*:-$steps}

started=$(date +%s)
require needed
rm -rf "$work/jobs"
mkdir -p "$work/jobs" "$work/logs" "$work/kernels/pocl" "$work/kernels/mesa"
: >"$work/results"
: >"$work/used"
: >"$work/jobs/queue"
unset RWKV6_DEVICE RWKV6_TEST_DEVICE RWKV6_TEST_REQUIRE RWKV6_KERNEL_DIR
export RUSTICL_ENABLE="${RUSTICL_ENABLE-llvmpipe}"
export POCL_CACHE_DIR="$work/kernels/pocl" MESA_SHADER_CACHE_DIR="$work/kernels/mesa" RWKV6_CACHE_DIR="$work/kernels/rwkv6"
echo "Packages: $(($(date +%s) - started)) s. Steps: $steps. What they print: $work/logs"

# Its compilation takes too long for a quick look.
if [ "$level" = quick ]; then required_platforms='pocl rusticl'; else check "Intel's CPU runtime: install" intel_runtime "$work/drivers/intel"; fi
# shellcheck disable=SC2086 # a list of words
use_drivers "$work/drivers" $required_platforms
check "gcc: build" build gcc -Dopencl=enabled
check "there is a device of each: $required_platforms" has_required_platforms gcc
# rusticl before pocl: its compiler is the slowest, and the longest jobs should not start last.
platforms=$(devices gcc | sed 's/.* //' | sort -r | uniq)
for step in $steps; do "plan_$(echo "$step" | tr - _)"; done
case " $steps " in *" gcc "*) [ "$level" = quick ] || suite_of "$timed" "$none" "gcc: what is timed" gcc ;; esac
export MESON_TESTTHREADS=1
worker=0
while [ $worker -lt "$(getconf _NPROCESSORS_ONLN)" ]; do
  work_off &
  worker=$((worker + 1))
done
wait

echo "Devices (and the builds that used them): the CPU path, $(sort -u "$work/used" | paste -s -d , | sed 's/,/, /g')"
echo "All of it: $(($(date +%s) - started)) s"
awk '{ passed += $1; failed += $2 } END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' "$work/results"
