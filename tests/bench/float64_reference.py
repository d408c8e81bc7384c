# SPDX-License-Identifier: MIT
"""RWKV-6 attention in double precision, forward and backward, token by token from the definition (docs/algorithm.md).

Arrays are float64, of numpy or of torch on any device: `xp` is the module. Shapes: r, k, w [sequences, tokens, heads, K], v and do
[sequences, tokens, heads, V], u [heads, K], states [sequences, heads, K, V]. w is the log of the decay.
"""


def outer(a, b):
    return a[..., :, None] * b[..., None, :]


def forward(xp, r, k, v, w, u, scale, state=None):
    """Returns o and the final state."""
    o, state = [], outer(k[:, 0], v[:, 0]) * 0 if state is None else state
    for t in range(r.shape[1]):
        o.append((r[:, t, :, :, None] * state).sum(-2))
        state = xp.exp(w[:, t])[..., None] * state + outer(k[:, t], v[:, t])
    now = (r * u * k).sum(-1)[..., None] * v
    return scale * (xp.stack(o, 1) + now), state


def backward(xp, r, k, v, w, u, scale, do, state=None, dstate=None):
    """Returns a dictionary of dr, dk, dv, dw, du and dinitial_state. Keeps a state for each token."""
    g = scale * do
    states = [outer(k[:, 0], v[:, 0]) * 0 if state is None else state]
    for t in range(r.shape[1] - 1):
        states.append(xp.exp(w[:, t])[..., None] * states[-1] + outer(k[:, t], v[:, t]))
    gradient = states[0] * 0 if dstate is None else dstate
    dr, dk, dv, dw = [], [], [], []
    for t in reversed(range(r.shape[1])):
        decay = xp.exp(w[:, t])
        dr.append((states[t] * g[:, t, :, None, :]).sum(-1))
        dk.append((gradient * v[:, t, :, None, :]).sum(-1))
        dv.append((gradient * k[:, t, :, :, None]).sum(-2))
        dw.append(decay * (states[t] * gradient).sum(-1))
        gradient = decay[..., None] * gradient + outer(r[:, t], g[:, t])
    dr, dk, dv, dw = (xp.stack(x[::-1], 1) for x in (dr, dk, dv, dw))
    seen = (v * g).sum(-1)[..., None]
    return {
        "dr": dr + u * k * seen,
        "dk": dk + u * r * seen,
        "dv": dv + (r * u * k).sum(-1)[..., None] * g,
        "dw": dw,
        "du": (r * k * seen).sum(1).sum(0),
        "dinitial_state": gradient,
    }


def relative_error(out, ref):
    """||out - ref|| / ||ref||; NaN where there is one in `out`."""
    return float((((out - ref) ** 2).sum() / (ref**2).sum()) ** 0.5)
