import ctypes, sys, numpy as np
cu = ctypes.CDLL('libcuda.so.1')
def ck(code, what=''):
    if code:
        s = ctypes.c_char_p(); cu.cuGetErrorString(code, ctypes.byref(s)); raise SystemExit('%s: %s' % (what, s.value))
cubin, kernel, shared, groups, items, reps = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])
N, T, H, D = 8, 4096, 32, 64
ck(cu.cuInit(0)); dev = ctypes.c_int(); ck(cu.cuDeviceGet(ctypes.byref(dev), 0))
ctx = ctypes.c_void_p(); ck(cu.cuDevicePrimaryCtxRetain(ctypes.byref(ctx), dev)); ck(cu.cuCtxSetCurrent(ctx))
mod = ctypes.c_void_p(); ck(cu.cuModuleLoad(ctypes.byref(mod), cubin.encode()), 'load')
fn = ctypes.c_void_p(); ck(cu.cuModuleGetFunction(ctypes.byref(fn), mod, kernel.encode()))
if shared > 48000: ck(cu.cuFuncSetAttribute(fn, 8, shared), 'shared')
rng = np.random.default_rng(1)
def alloc(bytes_):
    p = ctypes.c_uint64(); ck(cu.cuMemAlloc_v2(ctypes.byref(p), ctypes.c_size_t(bytes_)), 'alloc')
    ck(cu.cuMemsetD8_v2(p, 0, ctypes.c_size_t(bytes_))); return p.value
def bf16(x): return (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
def tensor(x=None):
    n = N * T * H * D; p = alloc(2 * n)
    if x is not None:
        b = bf16(x); s = b.size
        for i in range(0, n, s): ck(cu.cuMemcpyHtoD_v2(ctypes.c_uint64(p + 2 * i), b.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(2 * s)))
    return p
M = 1 << 22
normal = lambda: rng.standard_normal(M)
r, k, v, do = (tensor(normal()) for _ in range(4))
w = tensor(-np.exp(rng.standard_normal(M) * 0.5 - 2.0))
u = alloc(4 * H * D); o = tensor()
L, I, F, P = ctypes.c_int64, ctypes.c_int32, ctypes.c_float, ctypes.c_uint64
at = lambda: (L * 4)(0, H * D, D, 0)
batch = (L * 8)(T, T, 1, T // 64 - 1, T // 64 - 1, H, 0, 1)
if kernel == 'chunk_forward':
    args = [P(r), at(), P(k), at(), P(v), at(), P(w), at(), P(u), L(0), P(0), L(0), I(0), P(o), at(), P(0), L(0), P(0), L(0), P(0), L(0),
            P(0), batch, I(0), F(0.125), F(1), L(0), L(T), L(0)]
else:
    dr, dk, dw = tensor(), tensor(), tensor()
    check = alloc(N * H * (T // 64) * D * D * 4); du = alloc(4 * N * H * D)
    args = [P(r), at(), P(k), at(), P(v), at(), P(w), at(), P(u), L(0), P(0), L(0), P(0), L(0), I(0), P(do), at(), P(dr), at(), P(dk), at(),
            P(dw), at(), P(check), L(0), P(du), L(0), P(0), L(0), P(0), batch, F(0.125), L(0), L(T), L(0)]
params = (ctypes.c_void_p * len(args))(*[ctypes.cast(ctypes.pointer(a), ctypes.c_void_p) for a in args])
ev = [ctypes.c_void_p(), ctypes.c_void_p()]
for e in ev: ck(cu.cuEventCreate(ctypes.byref(e), 0))
for i in range(reps):
    ck(cu.cuEventRecord(ev[0], None))
    ck(cu.cuLaunchKernel(fn, groups, 1, 1, items, 1, 1, shared, None, params, None), 'launch')
    ck(cu.cuEventRecord(ev[1], None)); ck(cu.cuCtxSynchronize(), 'run')
    ms = ctypes.c_float(); cu.cuEventElapsedTime(ctypes.byref(ms), ev[0], ev[1])
h = np.empty(64 * 1024, np.uint16); ck(cu.cuMemcpyDtoH_v2(h.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint64(o if kernel == 'chunk_forward' else dr), ctypes.c_size_t(h.nbytes)))
x = (h.astype(np.uint32) << 16).view(np.float32)
print(cubin, kernel, '%.4f ms' % ms.value, 'rms', float(np.sqrt((x * x).mean())))
