#!/bin/sh
# SPDX-License-Identifier: MIT
# memcheck.sh PROGRAM ARGUMENT...: under valgrind, where an error or a leak is a failure. A script is skipped (77): valgrind would
# watch the shell.
case $(head -c 4 "$1" | tail -c 3) in
ELF) exec valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect "$@" ;;
*) exit 77 ;;
esac
