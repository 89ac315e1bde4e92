import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rebuilding

from jcompress import channel_groups, flops
from jcompress.models import ViT

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype('f4')
SMALL = ViT(layers=2, heads=2, width=6, hidden=8, patch=2, classes=5)
MAPS = 'query', 'key', 'value', 'out', 'up', 'down'


def reference(params, image, heads):
  """The logits of one image by the equations, in float64, head by head."""
  p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

  def norm(x, at):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * at['scale'] + at['bias']

  gelu = lambda u: (
    u * (1 + np.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3))) / 2
  )
  patches = [
    image[i : i + 2, j : j + 2].ravel() for i in (0, 2) for j in (0, 2, 4)
  ]
  kernel = p['patches']['kernel'].reshape(12, -1)
  x = np.stack(patches) @ kernel + p['patches']['bias'] + p['positions']
  for i in range(2):
    at = p[f'layer_{i}']
    y = norm(x, at['attention_norm'])
    mixed = at['out']['bias']
    for h in range(heads):
      q, k, v = (
        y @ at[n]['kernel'][:, h] + at[n]['bias'][h]
        for n in ('query', 'key', 'value')
      )
      share = np.exp(q @ k.T / math.sqrt(3))
      share /= share.sum(-1, keepdims=True)
      mixed = mixed + share @ v @ at['out']['kernel'][h]
    x = x + mixed
    y = norm(x, at['norm']) @ at['up']['kernel'] + at['up']['bias']
    x = x + gelu(y) @ at['down']['kernel'] + at['down']['bias']
  x = norm(x, p['norm']).mean(0)
  return x @ p['fc']['kernel'] + p['fc']['bias']


def test_logits_follow_the_equations():
  variables = rebuilding.draw(rebuilding.shapes(SMALL, IMAGES))
  logits = jax.jit(SMALL.apply)(variables, IMAGES)
  for row in range(2):
    want = reference(variables['params'], IMAGES[row], heads=2)
    np.testing.assert_allclose(logits[row], want, rtol=1e-4, atol=1e-4)


def test_parameters_and_multiply_accumulates():
  x = jnp.zeros((1, 32, 32, 3))
  cost = flops(ViT().apply, rebuilding.shapes(ViT(), x), x)
  layer = 4 * (128 * 128 + 128) + 2 * 128 * 256 + 256 + 128 + 4 * 128
  ends = 48 * 128 + 128 + 64 * 128 + 2 * 128 + 1290
  assert cost.params == 6 * layer + ends == 810_890
  maps, scores = 4 * 128**2 + 2 * 128 * 256, 2 * 64 * 128
  assert cost.macs == 64 * (6 * (maps + scores) + 48 * 128) + 1280


def test_the_pattern_matches_the_kernels_alone():
  names, others = rebuilding.kernels(SMALL, IMAGES)
  maps = {f'layer_{i}/{name}' for i in range(2) for name in MAPS}
  assert names == maps | {'patches', 'fc'}
  assert others == {'bias', 'positions', 'scale'}


def test_heads_dims_and_hidden_units_are_groups():
  graph = channel_groups(SMALL.apply, rebuilding.shapes(SMALL, IMAGES), IMAGES)
  sizes = {
    name.removeprefix('params/'): group.size
    for name, group in graph.groups.items()
  }
  assert sizes == {
    f'layer_{i}/{name}': size
    for i in range(2)
    for name, size in {
      'key/kernel:1': 2,
      'key/kernel:2': 3,
      'value/kernel:2': 3,
      'up/kernel:1': 8,
    }.items()
  }


def test_half_of_it_is_rebuilt_from_its_widths():
  """Scores keep their scale, which a smaller head would not give."""
  rebuilt, small = rebuilding.remove_half(SMALL, IMAGES)
  at = small['params']['layer_1']
  assert at['query']['kernel'].shape == (6, 1, 2)
  assert at['out']['kernel'].shape == (1, 2, 6)
  assert rebuilt.width == 6 and at['up']['kernel'].shape == (6, 4)


def test_computes_in_the_dtype_that_is_asked_for():
  variables = rebuilding.draw(rebuilding.shapes(SMALL, IMAGES))
  half = jax.jit(SMALL.clone(dtype=jnp.bfloat16).apply)(variables, IMAGES)
  full = jax.jit(SMALL.apply)(variables, IMAGES)
  assert half.dtype == jnp.bfloat16 and full.dtype == jnp.float32
  error = np.abs(np.asarray(half, 'f4') - full)
  assert error.mean() < 0.05 * np.abs(full).mean()


def test_sizes_that_do_not_fit_are_refused():
  with pytest.raises(ValueError, match='width 6 is no multiple of heads 4'):
    rebuilding.shapes(SMALL.clone(heads=4), IMAGES)
  with pytest.raises(ValueError, match='4x6 are not whole patches of 4x4'):
    rebuilding.shapes(SMALL.clone(patch=4), IMAGES)
