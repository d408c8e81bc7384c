# SPDX-License-Identifier: MIT
"""launch.py CUBIN KERNEL BYTES GROUPS WORK_GROUP TIMES [spikes] [fp32]: runs chunk_forward or chunk_states through CUDA's driver interface (README).

K = V = 64 with a WORK_GROUP of 128, 128 with one of 256. All tensors are in bf16, or, `fp32`, in that.
"""

import ctypes
import sys

import numpy

SIZE = 4 if "fp32" in sys.argv else 2  # bytes of a number
DIM = 128 if sys.argv[5] == "256" else 64
LENGTH, HEADS, TOKENS = 4096, DIM // 2, 32768 * 64 // DIM
DRAWN = 1 << 22  # numbers that are drawn; a tensor repeats them
L, I, F, P = ctypes.c_int64, ctypes.c_int32, ctypes.c_float, ctypes.c_uint64
cuda = ctypes.CDLL("libcuda.so.1")


def call(name, *arguments):
    code = getattr(cuda, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(code, ctypes.byref(text))
        raise SystemExit("%s: %s" % (name, text.value))


def allocate(size):
    place = P()
    call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(size))
    call("cuMemsetD8_v2", place, 0, ctypes.c_size_t(size))
    return place


def tensor(values=None):
    count = TOKENS * HEADS * DIM
    place = allocate(SIZE * count)
    if values is not None:
        bits = values.astype(numpy.float32).view(numpy.uint32)
        if SIZE == 2:
            bits = (bits >> 16).astype(numpy.uint16)
        for i in range(0, count, DRAWN):
            call("cuMemcpyHtoD_v2", P(place.value + SIZE * i), bits.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(SIZE * DRAWN))
    return place


def draw(spikes):
    random = numpy.random.default_rng(1)
    r, k, v = (tensor(random.standard_normal(DRAWN)) for _ in range(3))
    decays = -numpy.exp(random.standard_normal(DRAWN) * 0.5 - 2.0)
    if spikes:
        decays[random.random(DRAWN) < 0.02] = -20000
    return r, k, v, tensor(decays)


def layout():
    return (L * 4)(0, HEADS * DIM, DIM, 0)


def arguments_of(kernel, r, k, v, w):
    """As in cl/chunk_group_outputs.h and cl/chunk_group_states.h."""
    none = [P(0), L(0)]
    if kernel == "chunk_forward":
        batch = (L * 8)(LENGTH, LENGTH, 1, LENGTH // 64 - 1, LENGTH // 64 - 1, HEADS, 0, 1)
        u, o = [allocate(4 * HEADS * DIM), L(0)], [tensor(), layout()]
        inputs = [r, layout(), k, layout(), v, layout(), w, layout()]
        return inputs + u + none + [I(0)] + none + none + o + none + none + none + [P(0), batch, I(0), F(0.125), F(1), L(0), L(LENGTH), L(0)]
    units = TOKENS // LENGTH
    batch = (L * 8)(TOKENS, LENGTH, units, 0, 0, HEADS, 0, 1)
    sums, decays = [allocate(4 * units * HEADS * DIM * DIM), L(0)], [allocate(4 * units * HEADS * DIM), L(0)]
    inputs = [k, layout(), v, layout(), w, layout()]
    return inputs + none + [I(0)] + sums + decays + none + [P(0), batch, I(0), F(1), L(0), L(TOKENS), L(0)]


def load(cubin, kernel, shared):
    device, context, module, function = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    call("cuModuleLoad", ctypes.byref(module), cubin.encode())
    call("cuModuleGetFunction", ctypes.byref(function), module, kernel.encode())
    if shared > 48000:
        call("cuFuncSetAttribute", function, 8, shared)  # MAX_DYNAMIC_SHARED_SIZE_BYTES
    return function


def run(function, groups, items, shared, arguments):
    """Milliseconds."""
    places = (ctypes.c_void_p * len(arguments))(*[ctypes.cast(ctypes.pointer(a), ctypes.c_void_p) for a in arguments])
    begin, end, ms = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_float()
    call("cuEventCreate", ctypes.byref(begin), 0)
    call("cuEventCreate", ctypes.byref(end), 0)
    call("cuEventRecord", begin, None)
    call("cuLaunchKernel", function, groups, 1, 1, items, 1, 1, shared, None, places, None)
    call("cuEventRecord", end, None)
    call("cuCtxSynchronize")
    call("cuEventElapsedTime", ctypes.byref(ms), begin, end)
    return ms.value


def main():
    cubin, kernel = sys.argv[1:3]
    shared, groups, items, times = map(int, sys.argv[3:7])
    function = load(cubin, kernel, shared)
    arguments = arguments_of(kernel, *draw("spikes" in sys.argv[7:]))
    all_times = sorted(run(function, groups, items, shared, arguments) for _ in range(times))
    print("%s %.4f ms (median of %d)" % (kernel, all_times[times // 2], times))


main()
