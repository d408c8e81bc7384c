#!/bin/sh
# SPDX-License-Identifier: MIT
# `rwkv6 bench` as a user runs it: usage, tables, JSON, and whether it notices wrong results.
#   test_bench.sh RWKV6 KERNELS
# RWKV6: the binary; KERNELS: the folder cl/. What needs OpenCL is done on the first OpenCL device, or on the one that
# RWKV6_TEST_DEVICE names, and left out where there is none.
set -u
[ $# -eq 2 ] || { echo "usage: $0 RWKV6 KERNELS" >&2; exit 2; }
rwkv6=$1
kernels=$2
device=${RWKV6_TEST_DEVICE:-opencl}

unset RWKV6_DEVICE RWKV6_KERNEL_DIR
subcommand=bench
# shellcheck source=tests/cli/checks.sh
. "$(dirname -- "$0")/checks.sh"
TMPDIR=$work
RWKV6_CACHE_DIR=$work/cache
export TMPDIR RWKV6_CACHE_DIR

# json CASES: the last output is a document whose cases make sense.
json() {
  python3 - "$work/stdout" "$1" <<'PYTHON'
import json, math, sys
d = json.load(open(sys.argv[1]))
assert len(d['cases']) == int(sys.argv[2]) == d['passed'], (len(d['cases']), d['passed'])
assert d['peaks']['copy_bytes_per_second'] > 1e6 and d['peaks']['fma_operations_per_second'] > 1e6, d['peaks']
for c in d['cases']:
    n, t, h, k, v = map(int, c['shape'].split(',')[:5])
    size, w_size = ({'fp32': 4, 'fp16': 2, 'bf16': 2}[c[type]] for type in ('dtype', 'w_dtype'))
    rows = t * n * h
    if c['operation'] == 'forward':
        moved = rows * (size * (2 * k + 2 * v) + w_size * k) + h * k * 4
    else:
        moved = rows * (size * (4 * k + 3 * v) + w_size * 2 * k) + 2 * h * k * 4
    if c['states']:
        moved += (2 if c['operation'] == 'forward' else 3) * c['sequences'] * h * k * v * 4
    assert c['floor_bytes'] == moved, (c['shape'], c['floor_bytes'], moved)
    assert c['tokens'] == n * t and c['tensor_bytes'] == rows * size * max(k, v)
    assert (c['sequences'], c['longest']) == (n, t) or c['ragged']
    if c['ragged']:
        assert sum(c['lengths']) == n * t and len(c['lengths']) == c['sequences'] and max(c['lengths']) == c['longest']
        assert min(c['lengths']) == 1 and c['longest'] <= 4 * t
    time = c['time']
    assert 0 < time['least'] <= time['tenth'] <= time['median'] <= time['nine_tenths'] <= time['most'] and time['runs'] >= 3
    assert math.isclose(c['fraction_of_floor'] * time['median'], c['floor'], rel_tol=1e-6)
    assert c['sets'] >= 1 and c['footprint_bytes'] >= c['sets'] * moved
    names = [x['name'] for x in c['tensors']]
    wanted = ['o'] + ['final_state'] * c['states'] if c['operation'] == 'forward' else (
        ['dr', 'dk', 'dv', 'dw', 'du'] + ['dinitial_state'] * c['states'])
    assert names == wanted, names
    assert all(x['pass'] and 0 < x['error'] <= x['allowed'] < 3e-3 for x in c['tensors']), c['tensors']
    assert 1 <= c['heads_checked'] <= h
    if d['device']['kind'] != 'cpu':
        assert c['launches'] >= 1
        assert d['clock'] == 'host' or 0 < c['launches_alone'] <= time['median'] * 1.5
        assert c['back_to_back'] > 0 and 0 < c['enqueue'] < c['enqueue_to_finished']['median']
        assert c['extra_bytes'] >= c['workspace_bytes']
    else:
        assert not {'back_to_back', 'enqueue', 'enqueue_to_finished'} & set(c)
PYTHON
}

# ---- usage

expect 0 "usage: rwkv6 bench" --help
check "clocks, then rests" sh -c "grep -A2 '^  ms  ' '$work/stdout' | tail -n 2 | tr -s '\n ' ' ' | grep -q 'by the host.s A GPU rests'"
expect 2 "--shape or --suite is needed" --device cpu
for shape in 1,2,3,4 1,2,3,4,5,6 1,2,3,4,x 0,1,1,1,1 1,0,1,1,1 -1,1,1,1,1 " 1,1,1,1,1" 1,1,1,1,1,ragge 1,1,1,1,1ragged \
  1,1,1,1,1,reversed 1,1,1,1,1,pad "1,1,1,1,1," 1,1,1,1,1,,padded; do
  expect 2 "--shape must be N,T,H,K,V" "--shape=$shape"
done
expect 2 "allowed: 1 to 256" --device cpu --shape 1,1,1,300,1
expect 2 "--operation must be" --shape 1,1,1,1,1 --operation sideways
expect 2 "--mode must be" --shape 1,1,1,1,1 --mode fast
expect 2 "--dtype must be" --shape 1,1,1,1,1 --dtype fp8
for type in "bf16," bf16,w= bf16,fp32 w=fp32 bf16,w=fp32,w=fp32 bfloat16,w=fp32; do
  expect 2 "--dtype must be" --shape 1,1,1,1,1 --dtype "$type"
done
expect 2 "--precision must be full or relaxed" --shape 1,1,1,1,1 --precision fast
expect 2 "w is stored as r is or in fp32" --shape 1,1,1,1,1 --dtype fp16,w=bf16
expect 2 "--decay must be" --shape 1,1,1,1,1 --decay strong,
expect 2 "--decay must be" --shape 1,1,1,1,1 --decay strong,cooked
expect 2 "--decay must be" --shape 1,1,1,1,1 --decay strong,weak
expect 2 "--decay must be" --shape 1,1,1,1,1 --decay log,strong,raw
expect 0 "| bf16, weak raw |" --device cpu --shape 1,5,1,4,4 --decay strong,raw --decay weak --operation forward
expect 2 "--suite must be" --suite long
expect 2 "--variant needs a name" --shape 1,1,1,1,1 --variant=
expect 2 "takes no argument, but was given \"1,1,1,1,1\"" 1,1,1,1,1
expect 2 "unknown or ambiguous option \"--frob\"" --frob
expect 2 "no device \"opencl:99\"" --shape 1,1,1,1,1 --device opencl:99
expect 2 "the suite has no case" --device cpu --suite short --dtype fp16
expect 2 "no kernel named none" --device cpu --shape 1,4,1,4,4 --variant none
check "the variant of a refused row" grep -qF "| auto forward | 1,4,1,4,4 | bf16, ordinary | none | refused: " "$work/stdout"
check "the cells of a refused row" test "$(grep '^|' "$work/stdout" | tr -cd '|\n' | sort -u)" = "|||||||||||||||||"
expect 2 "no kernel named none" --device cpu --shape 1,4,1,4,4 --variant none --operation forward --json
check "the variant of a refused case" python3 -c "
import json, sys
case, = json.load(open(sys.argv[1]))['cases']
assert (case['result'], case['mode'], case['variant']) == ('refused', 'auto', 'none'), case" "$work/stdout"
expect 2 "26 refused" --device cpu --suite short --variant none
expect 2 "55 refused" --device cpu --suite full --variant none --mode chunk --operation forward --shape 2,9,1,4,4
check "a point of the curves" grep -qF "| chunk forward | 1,1048576,32,64,64 | bf16, ordinary |" "$work/stdout"
expect 2 "2 refused" --device cpu --suite full --variant none --decay resets --shape 2,9,1,4,4 --operation backward
expect 2 "forward only" --device cpu --shape 1,4,1,4,4 --decay factor --operation backward

# ---- the CPU path

expect 0 "4 passed, 0 wrong" --device cpu --shape 2,20,3,8,5 --mode both --variant scalar
check "the table" grep -q "^| chunk backward | 2,20,3,8,5 | bf16, ordinary | scalar |" "$work/stdout"
expect 0 "2 passed, 0 wrong" --device cpu --shape 1,5,1,4,4 --operation forward --operation both
expect 0 "1 passed, 0 wrong" --device cpu --shape 1,5,1,4,4 --operation both --operation forward
expect 2 "26 refused" --device cpu --suite short --variant none --mode chunk --mode both
expect 0 "" --device cpu --shape 2,20,3,8,5 --shape 1,1,2,16,16,states --json
check "JSON" json 4
expect 0 "" --device cpu --shape 4,30,2,9,6,ragged,states --dtype fp32 --decay resets,raw --json
check "JSON of a ragged batch" json 2
expect 0 "" --device cpu --shape 4,30,2,9,6,reverse --shape 4,30,2,9,6,padded --shape 4,30,2,9,6,ragged,states,reverse,padded --json
check "JSON of reversed and padded batches" json 6
check "rows further apart" python3 -c "
import json, sys
cases = json.load(open(sys.argv[1]))['cases']
assert [(c['reverse'], c['padded']) for c in cases[::2]] == [(True, False), (False, True), (True, True)], cases
packed, padded = (cases[i]['footprint_bytes'] / cases[i]['sets'] / cases[i]['floor_bytes'] for i in (0, 2))
assert packed < 1.15 < padded, (packed, padded)" "$work/stdout"
expect 2 "11 refused" --device cpu --suite short --variant none --shape 8,4096,32,64,64,reverse --operation forward --mode chunk
expect 0 "" --device cpu --shape 4,30,2,9,6 --dtype fp16 --decay factor,strong --mode chunk --json
check "JSON of factors, forward only" json 1
expect 0 "" --device cpu --shape 4,30,2,9,6,states --dtype fp16,w=fp32 --json
check "JSON with w in fp32" json 2
check "dw in fp32" python3 -c "
import json, sys
forward, backward = json.load(open(sys.argv[1]))['cases']
allowed = {tensor['name']: tensor['allowed'] for tensor in backward['tensors']}
assert backward['w_dtype'] == 'fp32' and allowed['dw'] < 1e-4 < allowed['dk'], backward" "$work/stdout"
expect 0 "| recurrent forward | 1,5,1,4,4 | bf16, w in fp32, ordinary |" --device cpu --shape 1,5,1,4,4 --dtype bf16,w=fp32
expect 0 "| recurrent forward | 1,5,1,4,4 | bf16, ordinary |" --device cpu --shape 1,5,1,4,4 --dtype bf16,w=bf16
expect 2 "24 refused" --device cpu --suite short --variant none --dtype bf16,w=fp32
check "a row of a suite" grep -qF "| chunk forward | 8,4096,32,64,64,ragged | bf16, w in fp32, ordinary |" "$work/stdout"
expect 0 "| recurrent forward | 1,5,1,4,4 | bf16, relaxed as full, ordinary |" --device cpu --shape 1,5,1,4,4 --precision relaxed
expect 2 "| bf16, w in fp32, relaxed, ordinary |" --device cpu --suite short --variant none --dtype bf16,w=fp32 --precision relaxed
expect 0 "" --device cpu --shape 4,30,2,9,6 --operation forward --precision relaxed --json
check "JSON of relaxed precision" json 1
check "what was computed with in JSON" grep -q '"precision":[[:space:]]*"full"' "$work/stdout"
for kind in weak spikes ordinary; do
  expect 0 "1 passed, 0 wrong" --device cpu --shape 1,40,2,8,8 --operation forward --decay "$kind"
done

# ---- an OpenCL device

if "$rwkv6" bench --device "$device" --no-start --shape 1,1,1,8,8 --operation forward >"$work/stdout" 2>"$work/stderr"; then
  expect 0 "" --device "$device" --shape 2,40,3,8,8 --operation forward --mode recurrent --json
  check "JSON on $device" json 1
  check "times of starting" python3 -c "
import json, sys
start, = json.load(open(sys.argv[1]))['starts']
assert (start['mode'], start['operation'], start['variant']) == ('recurrent', 'forward', 'portable'), start
assert start['shape'] == '2,40,3,8,8', start
for kind in ('cold', 'warm', 'warm_with_driver_cache'):
    assert start[kind]['error'] is None and min(start[kind][x] for x in ('open', 'plan', 'first_run')) > 0, start" \
    "$work/stdout"
  expect 2 "has no kernel named none" --device "$device" --shape 1,4,1,4,4 --operation forward --variant none
  check "one row of a start that failed" python3 -c "
import sys
rows = open(sys.argv[1]).read().split('\n\n')[1].splitlines()
assert len(rows) == 3 and all(row.startswith('|') and row.endswith('|') and row.count('|') == 7 for row in rows), rows
assert 'cold | device' in rows[2], rows[2]" "$work/stdout"
  expect 2 "has no kernel named none" --device "$device" --shape 1,4,1,4,4 --operation forward --variant none --json
  check "JSON of a start that failed" python3 -c "
import json, sys
start, = json.load(open(sys.argv[1]))['starts']
assert start['variant'] == 'none' and 'no kernel named none' in start['cold']['error'] and '\n' not in start['cold']['error'], start
assert 'warm' not in start and 'warm_with_driver_cache' not in start, start" "$work/stdout"
  expect 2 "exceeds what 63 bits" --device "$device" --shape 999999999,999999999,1,8,8 --operation forward --json
  check "a start is that of the shape itself" python3 -c "
import json, sys
start, = json.load(open(sys.argv[1]))['starts']
assert 'exceeds what 63 bits' in start['cold']['error'], start" "$work/stdout"
  check "a temporary folder stayed" test -z "$(find "$work" -name 'rwkv6-bench-*')"
  expect 0 "" --device "$device" --no-start --shape 5,9,3,8,8,ragged,states --mode recurrent --json
  check "JSON of a ragged batch on $device" json 2
  expect 0 "" --device "$device" --no-start --shape 2,20,3,8,8 --dtype bf16,w=fp32 --operation forward --mode recurrent --json
  check "JSON with w in fp32 on $device" json 1
  expect 0 "" --device "$device" --no-start --shape 3,9,3,8,8,reverse --shape 3,9,3,8,8,ragged,states,padded --mode recurrent --json
  check "JSON of reversed and padded batches on $device" json 4
  # A kernel that is off by 2 % at one token in eight.
  mkdir "$work/cl"
  cp "$kernels"/*.cl "$kernels"/*.h "$work/cl"
  sed 's/out_scale \* sum_parts/(token % 8 == 7 ? 1.02f : 1.0f) * &/' "$kernels/recurrent_forward.cl" \
    >"$work/cl/recurrent_forward.cl"
  check "nothing was broken" grep -q "1.02f" "$work/cl/recurrent_forward.cl"
  RWKV6_KERNEL_DIR=$work/cl
  export RWKV6_KERNEL_DIR
  expect 1 "o: error" --device "$device" --no-start --shape 2,40,3,8,8 --operation forward --mode recurrent
  check "the verdict in the table" grep -q "WRONG" "$work/stdout"
  expect 1 '"wrong":	1' --device "$device" --no-start --shape 2,40,3,8,8 --operation forward --mode recurrent --json
  # One that knows of no time but forward.
  sed 's/BATCH_REVERSE(batch) != (dual != 0)/dual != 0/' "$kernels/recurrent_forward.cl" >"$work/cl/recurrent_forward.cl"
  check "nothing was broken" grep -q "reverse = dual != 0;" "$work/cl/recurrent_forward.cl"
  expect 1 "1 passed, 1 wrong" --device "$device" --no-start --shape 2,7,3,8,8 --shape 2,7,3,8,8,reverse --operation forward \
    --mode recurrent
  unset RWKV6_KERNEL_DIR
else
  device="no OpenCL device"
fi

finish bench "the CPU path and $device"
