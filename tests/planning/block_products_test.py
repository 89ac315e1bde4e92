import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.encoded import Codebook, Quantized, packed

RNG = np.random.default_rng(0)
INPUTS, OUTPUTS = 1024, 2176  # 4 blocks of 544
DENSE = 4 * INPUTS * OUTPUTS


def codes(low, high, dtype):
  return jnp.asarray(RNG.integers(low, high, (INPUTS, OUTPUTS)), dtype)


def floats(*shape):
  return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


LEAVES = {
  'codebook': Codebook(floats(16), codes(0, 16, 'uint8')),
  'pairs': Codebook(floats(2), codes(0, 2, 'uint8')),
  'eight': Quantized(codes(-128, 128, 'int8'), floats(1, OUTPUTS)),
  'one_scale': Quantized(codes(-8, 8, 'int8'), floats()),
  'groups': Quantized(
    codes(0, 16, 'uint8'),
    floats(8, OUTPUTS),
    codes(0, 16, 'uint8')[:8],
    tile=(0, 128),
  ),
}


def apply(params, x):
  return jnp.tanh(x @ params['kernel'])


def run_both(tree, x):
  """Outputs of each and the temporaries of the first."""
  dense = jax.jit(lambda t, x: apply(jc.decode(t), x))
  found = jax.jit(jc.run_packed(apply)).lower(tree, x).compile()
  kept = found.memory_analysis().temp_size_in_bytes
  return found(tree, x), dense(tree, x), kept


@pytest.mark.parametrize('name', LEAVES)
@pytest.mark.parametrize('narrow', [lambda t: t, packed], ids=['', 'packed'])
def test_outputs_are_equal_and_the_matrix_is_never_dense(name, narrow):
  x = floats(1, INPUTS) / INPUTS**0.5
  found, want, kept = run_both(narrow({'kernel': LEAVES[name]}), x)
  np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)
  assert kept < 0.7 * DENSE


def test_leading_axes_stay_and_derivatives_pass():
  tree = {'kernel': LEAVES['eight']}
  x = floats(2, 3, INPUTS) / INPUTS
  found, want, _ = run_both(tree, x)
  assert found.shape == (2, 3, OUTPUTS)
  np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)
  total = lambda x: jc.run_packed(apply)(tree, x).sum()
  plain = lambda x: apply(jc.decode(tree), x).sum()
  np.testing.assert_allclose(
    jax.grad(total)(x), jax.grad(plain)(x), rtol=1e-3, atol=0.02
  )


@pytest.mark.parametrize('rows, turned', [(9, False), (1, True)])
def test_others_are_decoded_as_a_whole(rows, turned):
  use = lambda p, x: x @ (p['kernel'].T if turned else p['kernel'])
  size = OUTPUTS if turned else INPUTS
  text = str(
    jax.make_jaxpr(jc.run_packed(use))(
      {'kernel': LEAVES['eight']}, jnp.ones((rows, size))
    )
  )
  assert 'scan' not in text
  blocks = jax.make_jaxpr(jc.run_packed(apply))(
    {'kernel': LEAVES['eight']}, jnp.ones((8, INPUTS))
  )
  assert 'scan' in str(blocks)
