#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh pkg-config|static|c++|cmake|meson|opencl ROOT WORK: builds tests/consumers in a folder outside of the repository and runs it. ROOT is
# what `meson install` got as DESTDIR, moved to where it is; WORK is emptied. `meson` takes the repository as a subproject instead. `opencl`
# builds what uses rwkv6/opencl.h, examples/interop.c and the function in README.md, and runs it on the first OpenCL device.
set -eu
how=$1
root=$2
work=$3
here=$(cd "$(dirname -- "$0")" && pwd)
rm -rf "$work"
mkdir -p "$work"
cp "$here/consumer.c" "$here/consumer.cpp" "$here/CMakeLists.txt" "$here/meson.build" "$work"
cd "$work"

use_pkg_config() {
  pc=$(find "$root" -name rwkv6cl.pc)
  export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$root"
  library=${pc%/pkgconfig/*}
  LD_LIBRARY_PATH=$library
  export LD_LIBRARY_PATH
}

# shellcheck disable=SC2046 # lists of words
case $how in
pkg-config)
  use_pkg_config
  cc consumer.c -o consumer $(pkg-config --cflags --libs rwkv6cl)
  ./consumer
  ;;
c++)
  use_pkg_config
  c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror consumer.cpp -o consumer $(pkg-config --cflags --libs rwkv6cl)
  ./consumer
  ;;
static)
  use_pkg_config
  cc consumer.c -o consumer $(pkg-config --cflags rwkv6cl) "$library/librwkv6cl.a" \
    $(pkg-config --static --libs-only-l rwkv6cl | sed 's/-lrwkv6cl//')
  env -u LD_LIBRARY_PATH ./consumer
  ;;
cmake)
  config=$(find "$root" -name rwkv6cl-config.cmake)
  cmake -S . -B build -DCMAKE_BUILD_TYPE=Release "-Drwkv6cl_DIR=${config%/*}"
  cmake --build build
  (cd build && ctest --output-on-failure)
  # Another minor version is refused before 1.0.
  sed 's/rwkv6cl 0.1 /rwkv6cl 0.2 /' "$here/CMakeLists.txt" >CMakeLists.txt
  if cmake -S . -B refused "-Drwkv6cl_DIR=${config%/*}"; then exit 1; fi
  ;;
meson)
  mkdir subprojects
  ln -s "$here/../.." subprojects/rwkv6cl
  meson setup build
  ninja -C build
  meson test -C build --print-errorlogs
  # Neither tests nor the tool nor examples of the library come with it, and none of what they need.
  if ninja -C build -t targets all | grep -E 'test_|/rwkv6:|attention|cjson'; then exit 1; fi
  ;;
opencl)
  use_pkg_config
  cp "$here/attend.c" "$here/../../examples/interop.c" "$work"
  # shellcheck disable=SC2016 # backquotes of Markdown
  sed -n '/^```C$/,/^```$/{/^```/!p}' "$here/../../README.md" >readme.h
  [ "$(sed -n '/^rwkv6_status/,/^}/p' readme.h | wc -l)" -le 20 ] # what README.md promises
  for program in interop attend; do
    cc -std=c11 -Wall -Wextra -Werror $program.c -o $program $(pkg-config --cflags --libs rwkv6cl) -lOpenCL -lm
    ./$program
  done
  ;;
*)
  echo "unknown: $how"
  exit 2
  ;;
esac
