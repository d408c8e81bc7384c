#!/bin/sh
# SPDX-License-Identifier: MIT
# check_man.sh TOOL PAGE: the manual page has every command and every option that the tool explains, and no other.
set -eu
tool=$1
page=$2
sections=$(sed -n 's/^\.SS //p' "$page" | sort | tr '\n' ' ')
commands=$("$tool" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort | tr '\n' ' ')
[ "$sections" = "$commands" ] || { echo "the page has the commands $sections, the tool $commands"; exit 1; }
wrong=0
for command in $commands; do
  # --help is said once for all of them.
  told=$("$tool" "$command" --help | sed -n 's/^  \(--[a-z].*\)/\1/p' | sed 's/  .*//' | grep -oE '\-\-[a-z-]+' | grep -vx -e --help | sort -u)
  written=$(sed -n "/^\.SS $command\$/,/^\.S[SH] /p" "$page" | sed 's/\\-/-/g' | grep '^\.B' | grep -oE '\-\-[a-z-]+' | grep -vx -e --help | sort -u)
  [ "$told" = "$written" ] || { echo "$command: the page has"; echo "$written"; echo "the tool:"; echo "$told"; wrong=1; }
done
version=$("$tool" --version | sed 's/rwkv6 //')
grep -q "^\.TH RWKV6 1 .* \"rwkv6cl $version\"" "$page" || { echo "the page is not of version $version"; wrong=1; }
exit $wrong
