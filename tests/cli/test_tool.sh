#!/bin/sh
# SPDX-License-Identifier: MIT
# The tool as a user runs it: golden cases, options, exit status, messages, files.
#   test_tool.sh RWKV6 GOLDEN [DEVICE [MODE...]]
# RWKV6: the binary; GOLDEN: the folder of golden cases; DEVICE: what --device takes (cpu); MODE: the modes that the device must
# have (recurrent chunk). Exit status 77: the device is not there.
set -u
[ $# -ge 2 ] || { echo "usage: $0 RWKV6 GOLDEN [DEVICE [MODE...]]" >&2; exit 2; }
rwkv6=$(command -v "$1") || { echo "$0: no program $1" >&2; exit 2; }
rwkv6=$(cd "$(dirname "$rwkv6")" && pwd)/$(basename "$rwkv6")
golden=$(cd "$2" && pwd) || exit 2
shift 2
device=cpu
if [ $# -gt 0 ]; then device=$1; shift; fi
[ $# -gt 0 ] || set -- recurrent chunk
modes=$*
first_mode=$1

unset RWKV6_DEVICE
# shellcheck source=tests/cli/checks.sh
. "$(dirname -- "$0")/checks.sh"

# npy FILE SIZE...: float32, version 1.0, of this shape, with data of the right length and nothing but numbers in it.
npy() {
  python3 - "$@" <<'PYTHON'
import ast, math, struct, sys
path, shape = sys.argv[1], tuple(map(int, sys.argv[2:]))
data = open(path, 'rb').read()
assert data[:8] == b'\x93NUMPY\x01\x00', 'magic'
length = struct.unpack('<H', data[8:10])[0]
assert (10 + length) % 64 == 0 and data[9 + length:10 + length] == b'\n', 'padding'
header = ast.literal_eval(data[10:10 + length].decode('ascii'))
assert header == {'descr': '<f4', 'fortran_order': False, 'shape': shape}, header
values = struct.unpack('<%df' % math.prod(shape), data[10 + length:])
assert not any(map(math.isnan, values)), 'NaN'
assert any(values), 'all zero'
PYTHON
}

# close FILE FILE: the same values but for rounding.
close() {
  python3 - "$@" <<'PYTHON'
import struct, sys
def read(path):
    data = open(path, 'rb').read()
    start = 10 + struct.unpack('<H', data[8:10])[0]
    return struct.unpack('<%df' % ((len(data) - start) // 4), data[start:])
a, b = map(read, sys.argv[1:])
assert len(a) == len(b)
assert sum((x - y) ** 2 for x, y in zip(a, b)) <= 1e-8 * sum(y * y for y in b)
PYTHON
}

# same_as_json JSON TABLE: every case, every error to the digits of the table, the same verdicts.
same_as_json() {
  python3 - "$@" <<'PYTHON'
import json, sys
document = json.load(open(sys.argv[1]))
rows = {line.split()[0]: line.split() for line in open(sys.argv[2]) if line.rstrip().endswith((' pass', ' FAIL'))}
columns = ['o', 'final_state', 'dr', 'dk', 'dv', 'dw', 'du', 'dinitial_state']
assert document['passed'] == len(document['cases']) == len(rows) > 0, 'count of cases'
assert document['failed'] == document['refused'] == 0
for case in document['cases']:
    row = rows[case['case']]
    errors = {t['name']: t for t in case['tensors']}
    for name, text in zip(columns, row[-9:-1]):
        assert (text == '-') == (name not in errors), (case['case'], name)
        if text != '-':
            assert text == '%.1e' % errors[name]['error'], (case['case'], name, text, errors[name]['error'])
            assert errors[name]['pass'] and errors[name]['error'] <= errors[name]['allowed'] < 1e-2
    assert case['result'] == row[-1] == 'pass'
    assert [o['mode'] for o in case['operations']] == [row[2]] * len(case['operations']), case['operations']
PYTHON
}

# ---- the device itself

"$rwkv6" devices >"$work/stdout" 2>&1 || true
if ! "$rwkv6" run "$golden/single_step" --device "$device" --mode "$first_mode" --out "$work/probe" \
    >"$work/stdout" 2>"$work/stderr" && grep -q "RWKV6_NO_DEVICE\|no OpenCL\|no device" "$work/stderr"; then
  echo "SKIP: device $device: $(cat "$work/stderr")"
  exit 77
fi

# ---- help, version, usage

expect 0 "usage: rwkv6 COMMAND" --help
expect 0 "usage: rwkv6 devices" devices --help
expect 0 "usage: rwkv6 run CASE" run --help
expect 0 "usage: rwkv6 run CASE" run -h
expect 0 "rwkv6 0." --version
expect 2 "usage: rwkv6 COMMAND"
expect 2 "unknown command \"frobnicate\"" frobnicate
expect 2 "unknown or ambiguous option \"--frob\"" run "$golden/single_step" --out "$work/x" --frob
expect 2 "unknown or ambiguous option \"-x\"" run -xy "$golden/single_step" --out "$work/x"
expect 2 "unknown or ambiguous option \"--json=1\"" devices --json=1
expect 2 "a value is missing after \"--out\"" run "$golden/single_step" --out
expect 2 "--out DIR is needed" run "$golden/single_step"
expect 2 "at least one CASE" run --out "$work/x"
expect 2 "--mode must be recurrent, chunk or auto, not \"fast\"" run "$golden/single_step" --out "$work/x" --mode fast
expect 2 "--precision must be full or relaxed, not \"half\"" run "$golden/single_step" --out "$work/x" --precision half
expect 2 "--dtype must be fp32, fp16 or bf16, not \"fp8\"" run "$golden/single_step" --out "$work/x" --dtype fp8
expect 2 "--device needs a name" run "$golden/single_step" --out "$work/x" --device=
expect 2 "takes no argument" devices cpu
check "bad usage made a folder" test ! -e "$work/x"

# ---- devices

expect 0 "cpu: cpu" devices
expect 0 "forward recurrent" devices
expect 0 "" devices --json
cp "$work/stdout" "$work/devices.json"
check "devices --json is not JSON" python3 -m json.tool "$work/devices.json" "$work/formatted"
check "devices --json does not start with the CPU path" python3 -c "
import json, sys
d = json.load(open(sys.argv[1]))
assert d['devices'][0]['id'] == 'cpu' and d['default'] in [x['id'] for x in d['devices']]
assert [(o['operation'], o['mode']) for o in d['devices'][0]['operations']] == [
    (a, b) for a in ('forward', 'backward') for b in ('recurrent', 'chunk')]
assert all(o['variant'] for o in d['devices'][0]['operations'])" "$work/devices.json"
RWKV6_DEVICE=cpu
export RWKV6_DEVICE
expect 0 "Without --device: cpu" devices
unset RWKV6_DEVICE

# ---- golden cases

for mode in $modes; do
  out=$work/$mode
  count=$(ls -d "$golden"/*/ | wc -l)
  expect 0 "$count passed, 0 failed, 0 refused" run "$golden"/*/ --out "$out" --device "$device" --mode "$mode"
  cp "$work/stdout" "$work/table"
  expect 0 "" run "$golden"/*/ --out "$out" "--device=$device" "--mode=$mode" --json
  cp "$work/stdout" "$work/json"
  check "run --json is not JSON" python3 -m json.tool "$work/json" "$work/formatted"
  check "table and JSON differ ($mode)" same_as_json "$work/json" "$work/table"
  check "files of ragged_d64" test "$(ls -A "$out/ragged_d64" | tr '\n' ' ')" = \
    "dinitial_state.npy dk.npy dr.npy du.npy dv.npy dw.npy final_state.npy o.npy "
  for key in dr dk dw; do check "$key.npy" npy "$out/k16_v24_t70_raw/$key.npy" 70 2 16; done
  for value in o dv; do check "$value.npy" npy "$out/k16_v24_t70_raw/$value.npy" 70 2 24; done
  check "du.npy" npy "$out/k16_v24_t70_raw/du.npy" 2 16
  for state in final_state dinitial_state; do check "$state.npy" npy "$out/bf16_ragged_reset/$state.npy" 4 1 32 32; done
  for tensor in o final_state dr dk dv dw du dinitial_state; do
    check "values of $tensor.npy" close "$out/ragged_d64/$tensor.npy" "$golden/ragged_d64/$tensor.npy"
  done
  check "gradients in factor form" test ! -e "$out/reset_factor/dr.npy"
  check "a gradient of a state that is not there" test ! -e "$out/bf16_t40_d128/dinitial_state.npy"
done

# ---- options

run_one() {
  wanted=$1
  text=$2
  shift 2
  expect "$wanted" "$text" run "$golden/odd_t15_d60" --device "$device" --mode "$first_mode" --out "$work/one" "$@"
}

run_one 0 " double " --dtype bf16
run_one 0 " double " --dtype fp16
run_one 0 " double " --dtype bf16 --precision relaxed
run_one 0 '"relaxed"' --precision relaxed --json
run_one 0 '"full"' --json
run_one 0 " case " --dtype fp32
run_one 0 '"passed":' --dtype bf16 --json --no-backward
expect 0 " double " run "$golden/bf16_ragged_reset" --device "$device" --mode "$first_mode" --dtype fp16 --out "$work/w"
expect 0 " double " run "$golden/fp16_t70_d64_w32" --device "$device" --mode "$first_mode" --dtype bf16 --out "$work/w"
rm -rf "$work/one"
run_one 0 "1 passed" --no-backward
check "forward only wrote more" test "$(ls -A "$work/one/odd_t15_d60" | tr '\n' ' ')" = "final_state.npy o.npy "
run_one 0 "1 passed" --verbose
expect 0 "1 passed" run "$golden/single_step/" --device "$device" --mode auto --out "$work/deep/er/still"
check "parents of --out" test -s "$work/deep/er/still/single_step/o.npy"
check "a case called ." sh -c 'cd "$1" && "$2" run . --device cpu --out "$3"' sh "$golden/single_step" \
  "$rwkv6" "$work/dot"
check "the name of a case called ." test -s "$work/dot/single_step/o.npy"
RWKV6_DEVICE=$device
export RWKV6_DEVICE
expect 0 "1 passed" run "$golden/single_step" --mode "$first_mode" --out "$work/variable"
RWKV6_DEVICE="no such device"
expect 2 "no such device" run "$golden/single_step" --out "$work/variable"
unset RWKV6_DEVICE
expect 2 "opencl:99" run "$golden/single_step" --device opencl:99 --out "$work/none"
check "a wrong device made a folder" test ! -e "$work/none"

# Without references everything is compared with the double reference; without do forward only.
cp -r "$golden/ragged_d64" "$work/bare"
rm "$work"/bare/final_state.npy "$work"/bare/o.npy "$work"/bare/d[rkvwu].npy "$work"/bare/dinitial_state.npy
expect 0 " double " run "$work/bare" --device "$device" --mode "$first_mode" --out "$work/out"
check "backward without references" npy "$work/out/bare/dw.npy" 130 1 64
cp "$golden/ragged_d64/o.npy" "$work/bare"
expect 0 " mixed " run "$work/bare" --device "$device" --mode "$first_mode" --out "$work/out"
rm -r "$work/bare/do.npy" "$work/out"
expect 0 "1 passed" run "$work/bare" --device "$device" --mode "$first_mode" --out "$work/out"
check "backward without do" test ! -e "$work/out/bare/dw.npy"

# ---- bad input: refused with the name of the file, nothing written

# broken NAME: a copy of a good case to damage.
broken() {
  rm -rf "$work/broken"
  cp -r "$golden/odd_t15_d60" "$work/broken"
}

# refused FILE TEXT: the damaged case is refused, the good one beside it is computed.
refused() {
  rm -rf "$work/out"
  expect 2 "$work/broken/$1: " run "$work/broken" "$golden/single_step" --device "$device" --mode "$first_mode" --out "$work/out"
  grep -qF -- "$2" "$work/stderr" || fail "no \"$2\" in the message"
  check "files of a refused case ($1)" test ! -e "$work/out/broken"
  check "the case after a refused one" test -s "$work/out/single_step/o.npy"
}

broken; rm "$work/broken/k.npy"; refused k.npy "is missing"
broken; rm "$work/broken/meta.json"; refused meta.json "No such file"
broken; echo '{' >"$work/broken/meta.json"; refused meta.json "not valid JSON"
broken; sed -i 's/"log"/"exp"/' "$work/broken/meta.json"; refused meta.json "allowed are log, raw and factor"
broken; sed -i 's/"key_dim": 60/"key_dim": 1000/' "$work/broken/meta.json"; refused meta.json "from 1 to 256"
broken; sed -i 's/"heads": 2/"heads": 3/' "$work/broken/meta.json"; refused r.npy "meta.json asks for (15, 3, 60)"
broken; head -c 1000 "$golden/odd_t15_d60/v.npy" >"$work/broken/v.npy"; refused v.npy "truncated"
broken; echo >>"$work/broken/w.npy"; refused w.npy "trailing bytes"
broken; rm "$work/broken/u.npy"; mkfifo "$work/broken/u.npy"; refused u.npy "not a regular file"
broken; rm "$work/broken/u.npy"; mkdir "$work/broken/u.npy"; refused u.npy "is a folder"
broken; cp "$golden/odd_t15_d60/r.npy" "$work/broken/cu_seqlens.npy"; refused cu_seqlens.npy 'allowed is "<i8"'
broken; cp "$golden/odd_t15_d60/r.npy" "$work/broken/w.npy"; refused w.npy "allowed is at most 0 (log form)"
expect 2 "No such file" run "$work/absent" --device cpu --out "$work/out"

# ---- a wrong reference fails

broken
cp "$golden/odd_t15_d60/dk.npy" "$work/broken/dr.npy"
rm -rf "$work/out"
expect 1 "dr: error" run "$work/broken" --device "$device" --mode "$first_mode" --out "$work/out"
expect 1 '"fail"' run "$work/broken" --device "$device" --mode "$first_mode" --out "$work/out" --json
check "results of a case that failed" npy "$work/out/broken/dr.npy" 15 2 60

# ---- output folder

: >"$work/file"
expect 2 "$work/file" run "$golden/single_step" --device cpu --out "$work/file/below"
expect 2 "$work/file" run "$golden/single_step" --device cpu --out "$work/file"
mkdir "$work/taken"
: >"$work/taken/single_step"
expect 2 "$work/taken/single_step" run "$golden/single_step" --device cpu --out "$work/taken"
mkdir "$work/readonly"
chmod 500 "$work/readonly"
if [ "$(id -u)" -ne 0 ]; then expect 2 "$work/readonly" run "$golden/single_step" --device cpu --out "$work/readonly"; fi
expect 2 "would both write" run "$golden/single_step" "$golden/single_step/" --device cpu --out "$work/twice"
check "two cases of one name made a folder" test ! -e "$work/twice"
cp -r "$golden/single_step" "$work/own"
expect 2 "the folder of the case itself" run "$work/own" --device cpu --out "$work"
check "a case was overwritten" cmp "$golden/single_step/o.npy" "$work/own/o.npy"
if [ -w /dev/full ]; then
  checks=$((checks + 1))
  "$rwkv6" devices >/dev/full 2>"$work/stderr"
  [ $? -eq 1 ] || fail "a full disk behind stdout went unnoticed"
fi

finish "tool on $device" "golden cases in mode: $modes"
