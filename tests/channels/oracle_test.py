"""Groups against brute force: all cuts of all axes of networks of a few units.

A cut takes some indices, not all, out of each axis of each parameter. It is
valid if the function runs on what is left and computes what it does when those
entries are zero. The units of the analysis must be the least valid cuts.
"""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from zoo import normal, weights

from jcompress import channel_groups

X = normal(4, 2)


def relu(xp, h):
  return xp.maximum(h, 0)


def dense(xp, p, x):
  return relu(xp, x @ p['v'] + p['b']) @ p['w']


def sigmoid(xp, p, x):
  return 1 / (1 + xp.exp(-(x @ p['v']))) @ p['w']


def gate(xp, p, x):
  a, b = xp.split(x @ p['v'] + p['b'], 2, -1)
  return (a * xp.tanh(b)) @ p['w']


def reversal(xp, p, x):
  h = xp.tanh(x @ p['v'])
  return xp.concatenate([h, h[..., ::-1]], -1) @ p['w']


def residual(xp, p, x):
  h = x @ p['v']
  return (h + relu(xp, h @ p['a']) @ p['b']) @ p['w']


def flatten(xp, p, x):
  h = xp.tanh(x.reshape(2, 2, 2) @ p['v'])
  return h.reshape(2, -1) @ p['w']


def maximum_of_two(xp, p, x):
  return (x @ p['v']).reshape(4, -1, 2).max(-1) @ p['w']


def outer_square(xp, p, x):
  h = x @ p['v']
  return (h[:, :, None] * h[:, None, :]).reshape(4, -1) @ p['w']


def twice(xp, p, x):
  return xp.tanh(xp.tanh(x @ p['v']) @ p['w']) @ p['w']


def norm(xp, p, x):
  h = x @ p['v']
  return h / xp.sqrt((h * h).sum(-1, keepdims=True) + 1) @ p['w']


def centered(xp, p, x):
  h = x @ p['v']
  return (h - h.mean(-1, keepdims=True)) @ p['w']


def attention(xp, p, x):
  q, k, v = (x[:, :1] @ p[n] for n in 'qkv')
  return xp.tanh(q @ k.T) @ v @ p['w']


NETS = [
  (dense, dict(v=(2, 3), b=(3,), w=(3, 2)), 3),
  (sigmoid, dict(v=(2, 3), w=(3, 2)), 3),
  (gate, dict(v=(2, 4), b=(4,), w=(2, 1)), 2),
  (reversal, dict(v=(2, 3), w=(6, 1)), 3),
  (residual, dict(v=(2, 2), a=(2, 3), b=(3, 2), w=(2, 1)), 5),
  (flatten, dict(v=(2, 3), w=(6, 1)), 3),
  (maximum_of_two, dict(v=(2, 6), w=(3, 1)), 3),
  (outer_square, dict(v=(2, 3), w=(9, 1)), 3),
  (twice, dict(v=(2, 3), w=(3, 3)), 0),
  (norm, dict(v=(2, 3), w=(3, 2)), 3),
  (centered, dict(v=(2, 3), w=(3, 2)), 0),
  (attention, dict(q=(1, 3), k=(1, 3), v=(1, 3), w=(3, 1)), 6),
]


def subsets(n):
  """All but the whole."""
  sizes = (itertools.combinations(range(n), k) for k in range(n))
  return list(itertools.chain.from_iterable(sizes))


def least_valid_cuts(f, params, x):
  """As sets of `(leaf, axis, indices)`, found by trying everything."""
  places = [(k, d) for k, w in params.items() for d in range(w.ndim)]
  places = [(k, d) for k, d in places if params[k].shape[d] > 1]
  choices = [subsets(params[k].shape[d]) for k, d in places]
  valid = []
  for cut in itertools.product(*choices):
    masked, small = {**params}, {**params}
    for (k, d), gone in zip(places, cut, strict=True):
      if gone:
        masked[k] = masked[k].copy()
        np.moveaxis(masked[k], d, 0)[list(gone)] = 0
        small[k] = np.delete(small[k], gone, d)
    try:
      got = f(np, small, x)
    except ValueError:
      continue
    expected = f(np, masked, x)
    if got.shape == expected.shape and np.allclose(got, expected, atol=1e-5):
      pairs = zip(places, cut, strict=True)
      valid.append({(*p, i) for p, gone in pairs for i in gone})
  valid = [v for v in valid if v]
  return [v for v in valid if not any(other < v for other in valid)]


@pytest.mark.parametrize(
  'f, shapes, units', NETS, ids=lambda value: getattr(value, '__name__', '')
)
def test_units_are_the_least_valid_cuts(f, shapes, units):
  params = weights(**shapes)
  graph = channel_groups(lambda p, x: f(jnp, p, x), params, X)
  found = [
    {(*place, i) for place, where in unit.places.items() for i in where}
    for group in graph.groups.values()
    for unit in group.units
  ]
  expected = least_valid_cuts(f, params, X)
  assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
  assert len(found) == units
