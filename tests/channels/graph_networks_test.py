"""Networks on graphs, and others that gather, scatter and mix by Fourier."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import normal, weights

from jcompress import channel_groups, mask_channels, remove_channels, shrink

relu = jax.nn.relu
X = normal(5, 3)
FROM, TO = np.array([0, 1, 2, 4, 0, 3]), np.array([1, 1, 0, 3, 2, 4])


def network(p, x, senders, receivers, *, combine):
  """Messages along edges, combined at their nodes; two rounds."""
  h = relu(x @ p['in'] + p['b'])
  for name in ('m1', 'm2'):
    messages = relu(h[senders] @ p[name])
    h = h + jnp.tanh(combine(messages, receivers, len(x)) @ p[name + 'o'])
  return h @ p['out']


def mean(messages, receivers, count):
  sums = jax.ops.segment_sum(messages, receivers, count)
  sizes = jax.ops.segment_sum(jnp.ones(len(receivers)), receivers, count)
  return sums / jnp.maximum(sizes, 1)[:, None]


def largest(messages, receivers, count):
  found = jax.ops.segment_max(messages, receivers, count)
  return jnp.where(jnp.isfinite(found), found, 0)


def added(messages, receivers, count):
  return jnp.zeros((count, messages.shape[1])).at[receivers].add(messages)


PARAMS = weights(
  b=(6,), m1=(6, 8), m1o=(8, 6), m2=(6, 4), m2o=(4, 6), out=(6, 2)
) | {'in': normal(3, 6)}
KEEP = {'in:1': [0, 2, 3, 5], 'm1:1': [1, 2, 7], 'm2:1': [0, 3]}


@pytest.mark.parametrize('combine', [jax.ops.segment_sum, mean, largest, added])
def test_the_small_graph_network_is_the_masked_one(combine):
  f = functools.partial(network, combine=combine)
  graph = channel_groups(f, PARAMS, X, FROM, TO)
  assert not graph.unknown
  assert {name: g.size for name, g in graph.groups.items()} == {
    'in:1': 6,
    'm1:1': 8,
    'm2:1': 4,
  }
  # `shrink` raises if the two differ, and so does the function itself.
  small, small_apply = shrink(f, PARAMS, KEEP, X, FROM, TO)
  masked = mask_channels(PARAMS, graph.plan(KEEP))
  want = f(masked, X, FROM, TO)
  np.testing.assert_allclose(f(small, X, FROM, TO), want, atol=1e-5)
  np.testing.assert_allclose(small_apply(small, X, FROM, TO), want, atol=1e-5)
  assert small['m1o'].shape == (3, 4)


def test_a_network_that_mixes_positions_by_fourier_transforms():
  def f(p, x):
    h = x @ p['v']
    h = h + jnp.fft.fft(h, axis=0).real
    h = jnp.fft.irfft(jnp.fft.rfft(h, axis=0) * p['g'], 4, axis=0)
    return h @ p['w']

  params = weights(v=(3, 6), g=(3, 6), w=(6, 2))
  x = normal(4, 3)
  graph = channel_groups(f, params, x)
  assert not graph.unknown
  assert graph.groups['v:1'].places == {('g', 1): 1, ('v', 1): 1, ('w', 0): 1}
  small, _ = shrink(f, params, {'v:1': [0, 3, 4]}, x)
  masked = mask_channels(params, graph.plan({'v:1': [0, 3, 4]}))
  np.testing.assert_allclose(f(small, x), f(masked, x), atol=1e-5)
  assert remove_channels(params, graph.plan({'v:1': [1]}))['g'].shape == (3, 1)
