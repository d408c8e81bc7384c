# SPDX-License-Identifier: MIT
# cases.sh TOOL [DEVICE [VARIANT]]: forward of bf16, K = V = 64, in 50 cases
exec 2>&1; n=0; bad=0
for dist in ordinary weak strong spikes resets minus5 minus12 none slow denormal; do for more in "t=200 decay=log" "t=777 ragged=1 decay=raw reverse=1" "t=64 decay=log strides=padded optional=0" "t=131 decay=log segment=64 optional=15" "t=5 decay=raw v=128 strides=heads_first"; do
timeout 100 $1 conform --device ${2:-opencl:0} --variant ${3:-hopper} --operation forward --case "n=2 h=3 k=64 v=64 dtype=bf16 w=bf16 dist=$dist seed=7 $more" >/tmp/case.log 2>&1; rc=$?
n=$((n+1)); if [ $rc != 0 ]; then bad=$((bad+1)); echo "rc $rc: $dist $more"; grep -A3 "^not ok\|refused\|error" /tmp/case.log | cut -c1-160| head -2; fi; done; done; echo "$n cases, $bad bad"
