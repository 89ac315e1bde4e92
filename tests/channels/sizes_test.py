"""Each primitive with sizes among its parameters, on a cut axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import conv, normal, weights

from jcompress import channel_groups, mask_channels, remove_channels
from jcompress.channels.interpreter import evaluate

X = normal(4, 3)
KEEP = [0, 2, 3]


def noise(h):
  bits = jax.random.uniform(jax.random.key(0), h.shape)
  return h * bits


CASES = {
  'reshape': lambda h: h.reshape(4, 1, 6).reshape(4, 6),
  'broadcast': lambda h: jnp.broadcast_to(h[:, None], (4, 2, 6)).sum(1),
  'slice of neighbours': lambda h: jnp.concatenate([h[:, 2:], h[:, :2]], 1),
  'slice with a stride': lambda h: jnp.concatenate([h[:, ::2], h[:, 1::2]], 1),
  'slice of nothing kept': lambda h: jnp.concatenate([h[:, 4:], h[:, :4]], 1),
  'split': lambda h: jnp.concatenate(jnp.split(h, [1, 4], 1)[::-1], 1),
  'pad': lambda h: jnp.pad(h, ((0, 0), (1, 2)))[:, 1:-2],
  'reverse': lambda h: h[:, ::-1],
  'tile': lambda h: jnp.tile(h, (1, 2))[:, :6],
  'gather': lambda h: h[np.array([3, 1, 0, 0])],
  'dynamic slice': lambda h: jax.lax.dynamic_slice(h, (1, 0), (2, 6)),
  'dynamic update': lambda h: jax.lax.dynamic_update_slice(h, h[:2], (1, 0)),
  'random bits': noise,
  'cumulative': lambda h: jnp.cumsum(h, 0),
  'window': lambda h: jax.lax.reduce_window(
    h, -np.inf, jax.lax.max, (2, 1), (1, 1), 'VALID'
  ),
  'sort': lambda h: jnp.sort(h, 0),
}


@pytest.mark.parametrize('name', CASES)
def test_the_cut_equation_equals_the_masked_one(name):
  f = lambda p, x: CASES[name](x @ p['v']) @ p['w']
  params = weights(v=(3, 6), w=(6, 2))
  graph = channel_groups(f, params, X)
  (group,) = graph.groups
  plan = graph.plan({group: KEEP})
  small = remove_channels(params, plan)
  assert small['v'].shape == (3, 3)
  got = jax.jit(lambda p, x: evaluate(plan, p, x))(small, X)
  expected = jax.jit(f)(mask_channels(params, plan), X)
  np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('kept', [[0], [1, 2]])
def test_groups_of_a_convolution_are_counted(kept):
  f = lambda p, x: conv(conv(x, p['a']), p['b'], groups=3).sum((1, 2)) @ p['w']
  params = weights(a=(1, 1, 2, 6), b=(3, 3, 2, 6), w=(6, 2))
  x = normal(1, 4, 4, 2)
  graph = channel_groups(f, params, x)
  group = next(g for g in graph.groups.values() if g.size == 3)
  plan = graph.plan({group.name: kept})
  got = evaluate(plan, remove_channels(params, plan), x)
  expected = f(mask_channels(params, plan), x)
  np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
