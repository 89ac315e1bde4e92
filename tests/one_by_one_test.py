"""Tests of leaves one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.one_by_one import one_by_one

LEAVES = 16
PARAMS = {
  str(i): jax.ShapeDtypeStruct((256, 256), jnp.bfloat16) for i in range(LEAVES)
}
BYTES = LEAVES * 2 * 256 * 256


def test_it_maps_like_a_map():
  a = {'x': jnp.arange(3.0), 'y': [jnp.ones(2)]}
  b = {'x': (1, jnp.ones(3)), 'y': [(2, jnp.ones(2))]}
  f = lambda x, pair: (pair[0] * x, x + pair[1])
  want = jax.tree.map(f, a, b)
  for got in (one_by_one(f, a, b), jax.jit(lambda: one_by_one(f, a, b))()):
    jax.tree.map(np.testing.assert_array_equal, got, want)
  assert one_by_one(f, {}, {}) == {}


def temporaries(f, *args):
  return jax.jit(f).lower(*args).compile().memory_analysis().temp_size_in_bytes


def sort(x):
  return jnp.sort(x.astype(jnp.float32).ravel())[3]


def test_under_jit_leaves_wait_for_each_other():
  together = temporaries(lambda p: jax.tree.map(sort, p), PARAMS)
  in_turn = temporaries(lambda p: one_by_one(sort, p), PARAMS)
  assert in_turn < 0.3 * together


@pytest.mark.parametrize(
  'compressor',
  [
    jc.linear_quantize(4),
    jc.magnitude_prune(0.5),
    jc.magnitude_prune(0.5, scope='global'),
    jc.dynamic_surgery(0.5),
  ],
  ids=['linear', 'magnitude', 'global', 'surgery'],
)
def test_compressors_need_little_beyond_the_params(compressor):
  def encode(params):
    return compressor.encode(*compressor.init(params))

  assert temporaries(encode, PARAMS) < 1.1 * BYTES
  latent, state = jax.eval_shape(compressor.init, PARAMS)
  assert temporaries(compressor.update, latent, state, latent) < 1.1 * BYTES
