"""Random small networks: whatever may be removed, masked equals shrunk.

The generator knows nothing of channels. It strings operations on arrays
`[batch, n]` together, with new and shared weights, and the analysis decides.
"""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo_test import halves

from jcompress import channel_groups, shrink


def dense(h, k, net):
  return h @ net.weight(h.shape[1], (4, 6, 8, 12)[k % 4])


def shared(h, k, net):
  return h @ net.shared(h.shape[1])


def scan(h, k, net):
  w = net.weight(3, h.shape[1], h.shape[1])
  return jax.lax.scan(lambda c, w: (jnp.tanh(c @ w), None), h, w)[0]


def earlier(h, k, net):
  same = [a for a in net.history if a.shape == h.shape]
  return jnp.tanh(h * same[k % len(same)]) if k % 2 else h + same[k % len(same)]


def concatenate(h, k, net):
  joined = jnp.concatenate([h, net.history[k % len(net.history)]], 1)
  return joined if joined.shape[1] <= 24 else h


def gate(h, k, net):
  if h.shape[1] % 2:
    return h
  a, b = jnp.split(h, 2, 1)
  return a * jax.nn.sigmoid(b)


def blocks(h, k, net):
  n, d = h.shape[1], (2, 3, 4)[k % 3]
  if n % d or n == d:
    return h
  grid = h.reshape(-1, n // d, d)
  grid = (grid.max(1), grid.sum(2), grid.swapaxes(1, 2))[k // 3 % 3]
  return grid.reshape(len(h), -1)


def outer(h, k, net):
  n = h.shape[1]
  return (h[:, :, None] * h[:, None]).reshape(-1, n * n) if n <= 4 else h


def pad(h, k, net):
  value = float(k % 3 == 2)
  return jnp.pad(h, ((0, 0), (k % 2, 1)), constant_values=value)


def condition(h, k, net):
  return h + jax.lax.cond(h.sum() > 0, jnp.sin, lambda a: a * 0.5, h)


def scatter(h, k, net):
  if k > 8:
    return h.at[:, k % 2].add(1.0)
  rows = h.at[np.array([0, 2, 0])]
  return (rows.add(h), rows.max(h, mode='drop'), h.at[1].set(h[0]))[k % 3]


def fourier(h, k, net):
  return jnp.tanh(jnp.fft.fft(h, axis=k % 2).real)


OPERATIONS = {
  **{f.__name__: f for f in (dense, shared, scan, earlier, concatenate)},
  **{f.__name__: f for f in (gate, blocks, outer, pad, condition)},
  **{f.__name__: f for f in (scatter, fourier)},
  'dense too': dense,
  'relu': lambda h, k, net: jax.nn.relu(h),
  'sigmoid': lambda h, k, net: jax.nn.sigmoid(h),
  'bias': lambda h, k, net: h + net.weight(h.shape[1]),
  'scale': lambda h, k, net: h * net.weight(h.shape[1]),
  'reverse': lambda h, k, net: h[:, ::-1],
  'stride': lambda h, k, net: h[:, k % 2 :: 2] if h.shape[1] > 3 else h,
  'slice': lambda h, k, net: h[:, 1:] if h.shape[1] > 4 else h,
  'norm': lambda h, k, net: h / jnp.sqrt((h * h).sum(1, keepdims=True) + 1),
  'softmax': lambda h, k, net: jax.nn.softmax(h, 1),
  'mean': lambda h, k, net: h - h.mean(1, keepdims=True),
  'sum': lambda h, k, net: jnp.tanh(h + h.sum(1, keepdims=True)),
  'maximum': lambda h, k, net: h * h.max(0, keepdims=True),
  'cumsum': lambda h, k, net: jnp.cumsum(h, k % 2),
  'roll': lambda h, k, net: jnp.roll(h, 1, 1),
  'where': lambda h, k, net: jnp.where(h > 0, h, 0.1),
  'similar': lambda h, k, net: jnp.tanh(h @ h.T) @ h,
}


class Network:
  """Runs a program; weights are drawn where the program first needs them."""

  def __init__(self, program, params, draw=None):
    self._program, self._params, self._draw = program, params, draw

  def weight(self, *shape, name=None):
    name = name or f'w{self._count}'
    self._count += 1
    if self._draw is not None:
      self._params.setdefault(name, self._draw(shape))
    return self._params[name]

  def shared(self, n):
    return self.weight(n, n, name=f'shared{n}')

  def __call__(self, x):
    self._count, self.history = 0, [x]
    h = x @ self.weight(x.shape[1], 8)
    for name, k in self._program:
      self.history.append(h)
      h = OPERATIONS[name](h, k, self)
    return jnp.tanh(h) @ self.weight(h.shape[1], 2)


steps = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 11))


@settings(max_examples=15)
@given(st.lists(steps, min_size=1, max_size=7), st.integers(0, 99))
def test_whatever_may_be_removed_is(program, seed):
  rng = np.random.default_rng(seed)
  draw = lambda shape: (rng.normal(size=shape) / 2).astype(np.float32)
  params, x = {}, draw((3, 3))
  jax.eval_shape(Network(program, params, draw), x)
  f = lambda p, x: Network(program, dict(p))(x)
  graph = channel_groups(f, params, x)
  assert not graph.unknown
  keep = halves(graph, seed)
  if keep:
    # `shrink` raises if the two differ.
    shrink(f, params, keep, x, tolerance=2e-5)
