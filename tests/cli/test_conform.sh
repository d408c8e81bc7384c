#!/bin/sh
# SPDX-License-Identifier: MIT
# test_conform.sh TOOL GOLDEN-FOLDER: the command line and the reports of `rwkv6 conform`, on the CPU path.
set -u
tool=$1
golden=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# expect STATUS ARGUMENT...: leaves what was printed in $work/out and $work/err.
expect() {
  wanted=$1
  shift
  status=0
  "$tool" conform --device cpu "$@" >"$work/out" 2>"$work/err" || status=$?
  [ "$status" = "$wanted" ] && return
  echo "exit status $status instead of $wanted: conform $*"
  cat "$work/out" "$work/err"
  failed=1
}

# has FILE PATTERN
has() {
  grep -q -- "$2" "$work/$1" && return
  echo "$1 has no \"$2\":"
  cat "$work/$1"
  failed=1
}

# valid PROGRAM: python3 reads $work/out or $work/report.xml.
valid() {
  python3 -c "$1" "$work" && return
  echo "not valid: $1"
  failed=1
}

small='n=2 ragged=1 t=5 k=2 v=3 h=2'
expect 0 --case "$small"
has out 'cpu: 6 results, 0 failed, .* conforms'
has out 'forward  *agreement  *1  *0'
expect 0 --case "$small" --operation chunk_backward
has out 'chunk_backward  *scalar  *1  *0'
expect 0 --quick --dtype fp16 --seed 7 --part 2/3
has out 'quick, part 2 of 3, seed 7'
expect 0 --cases "$golden"
# Without do: forward only.
mkdir "$work/forward"
cp -R "$golden/tiny_decay" "$work/forward/one"
rm "$work/forward/one/do.npy"
expect 0 --cases "$work/forward"
has out 'cpu: 2 results, 0 failed'

expect 0 --case "$small" --tap
has out '^1..6$'
has out '^ok 5 - cpu chunk_backward scalar: n=2 t=5 ragged=1'
has out '^ok 6 - cpu backward agreement: n=2 t=5 ragged=1'
expect 0 --case "$small" --json --junit "$work/report.xml"
valid 'import json,sys; d = json.load(open(sys.argv[1] + "/out"))["devices"][0]; assert d["conforms"] and d["results"] == 6 and not d["failures"]'
valid 'import xml.etree.ElementTree as x,sys; s = x.parse(sys.argv[1] + "/report.xml").getroot()[0]; assert s.get("tests") == "6" and len(s.findall("testcase")) == 6'

# A stored result that is wrong: its last bytes are the upper ones of a number.
cp -r "$golden/single_step" "$work/single_step"
for file in o dk; do
  size=$(wc -c <"$work/single_step/$file.npy")
  printf '\077\100' | dd of="$work/single_step/$file.npy" bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
done
expect 1 --cases "$work"
has out '^not ok: recurrent_forward, variant scalar: o: relative error .* worst at .* expected .* got '
has out 'again with: rwkv6 conform --device cpu --operation recurrent_forward --variant scalar --cases'
has out '4 failed, .* does not conform'
expect 1 --cases "$work" --tap
has out '^not ok 1 - cpu recurrent_forward scalar: single_step$'
expect 1 --cases "$work" --json --junit "$work/report.xml"
valid 'import json,sys; d = json.load(open(sys.argv[1] + "/out"))["devices"][0]; assert not d["conforms"] and len(d["failures"]) == 4 and "expected" in d["failures"][0]["message"]'
valid 'import xml.etree.ElementTree as x,sys; s = x.parse(sys.argv[1] + "/report.xml").getroot()[0]; assert s.get("failures") == "4" and len(s.findall("testcase/failure")) == 4'

expect 2 --case 't=5x'
has err 't=5x'
expect 2 --case 'k=300'
has err 'key_dim is 300'
# A case is refused as a whole, before anything is computed.
for wrong in t=-1 t=99999999999999999999 n=0 n=33 ragged=2 h=-1 group=-1 chunk=-1 segment=-2 optional=16 optional=31 scale=nan seed=-1 \
  seed=18446744073709551616 dtype=fp8 memory=nowhere k= =3 k; do
  expect 2 --case "$wrong"
  has err "$wrong"
done
expect 2 --case 't=2000000000'
has err 'more than 2^30 elements'
expect 2 --case 'k=0'
expect 0 --case 't=0 n=2'
expect 2 --case 'chunk=64 t=70 k=8 v=8' --operation chunk_forward --variant portable
expect 2 --case "$small" --junit "$work/nowhere/report.xml"
has err 'cannot write'
expect 2 --seed -1
expect 2 --seed 18446744073709551616
expect 0 --case "$small" --seed 18446744073709551615 --json
valid 'import json,sys; assert json.load(open(sys.argv[1] + "/out"))["seed"] == "18446744073709551615"'
expect 2 --case "$small" --cases "$golden"
expect 0 --case "$small" --operation forward --variant scalar,scalar --dtype fp32
has out 'seed [0-9]*, operation forward, variants scalar,scalar, dtype fp32'
has out 'cpu: 3 results, 0 failed'
expect 0 --case "$small" --operation forward --variant scalar --json
valid 'import json,sys; assert json.load(open(sys.argv[1] + "/out"))["variants"] == "scalar"'
# Right results that are far off for their size: a du of one number that has cancelled, and roundings of two numbers in one direction.
expect 0 --operation backward --case 't=600 k=1 v=33 dist=slow optional=15 segment=64 memory=device seed=556371'
expect 0 --operation backward --case 't=1 h=2 k=100 v=1 dtype=fp16 w=fp32 dist=minus10 strides=padded optional=7 segment=100 seed=107166'
expect 2 --case "$small" --variant portable
expect 2 --quick --seed 1 --part 1/10 --dtype fp16
has err 'nothing to check'
for wrong in none none,scalar scalar,emulatd 'scalar, portable' scalar, ,scalar scala scalars '' "$(printf 'scalar,%.0s' $(seq 100))scalar"; do
  expect 2 --case "$small" --variant "$wrong"
  has err '\-\-variant must be names'
done
expect 2 --cases "$work/nothing"
expect 2 --operation sideways
expect 2 --dtype fp8
expect 2 --part 5/4
expect 2 --seed x
expect 2 --tap --json
expect 2 --huge
expect 2 --colour
expect 2 quick
expect 77 --device opencl:99
has err 'no device "opencl:99"'

[ "$failed" = 0 ] && echo "conform: command line and reports are right"
exit "$failed"
