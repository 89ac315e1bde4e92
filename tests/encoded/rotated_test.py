import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jcompress as jc
from jcompress.encoded import Rotated
from jcompress.encoded.rotated import hadamard, pieces, spread_pieces


def matrix(n):
  """Sylvester's Hadamard matrix, orthonormal."""
  if n == 1:
    return np.ones((1, 1))
  half = matrix(n // 2)
  return np.block([[half, half], [half, -half]]) / np.sqrt(2)


def example(**changes):
  rng = np.random.default_rng(0)
  fields = {
    'codes': jnp.asarray(rng.integers(0, 4, (6, 3)), jnp.uint8),
    'scale': jnp.asarray(rng.random((2, 3)), jnp.float32),
    'centers': jnp.array([-1.5, -0.5, 0.5, 1.5]),
    'signs': jnp.asarray(rng.random(6) < 0.5),
    'axis': 0,
    'block': 4,
  }
  return Rotated(**{**fields, **changes})


@given(st.integers(0, 5000), st.integers(0, 9))
def test_pieces_are_powers_of_two_that_add_up(n, log):
  found = pieces(n, 2**log)
  assert sum(size * count for size, count in found) == n
  sizes = [size for size, _ in found]
  assert sizes == sorted(set(sizes), reverse=True)
  assert all(2**log % size == 0 for size in sizes)


@pytest.mark.parametrize('n', [1, 2, 8, 64])
def test_the_fast_transform_is_the_matrix(n):
  x = np.random.default_rng(n).standard_normal((3, n)).astype(np.float32)
  got = hadamard(jnp.asarray(x), n)
  np.testing.assert_allclose(got, x @ matrix(n), atol=1e-5)
  np.testing.assert_allclose(hadamard(got, n), x, atol=1e-5)


def test_each_piece_is_transformed_for_itself():
  x = jax.random.normal(jax.random.key(0), (2, 11))
  got = hadamard(x, 4)
  parts = [matrix(4), matrix(4), matrix(2), matrix(1)]
  starts = [0, 4, 8, 10]
  for start, part in zip(starts, parts, strict=True):
    span = slice(start, start + len(part))
    np.testing.assert_allclose(got[:, span], x[:, span] @ part, atol=1e-5)
  np.testing.assert_array_equal(
    spread_pieces(jnp.arange(4.0), 11, 4), [0] * 4 + [1] * 4 + [2] * 2 + [3]
  )


@pytest.mark.parametrize('axis', [0, 1])
def test_decodes_to_the_product(axis):
  leaf = example()
  values = np.asarray(leaf.centers)[np.asarray(leaf.codes)]
  scale = np.repeat(np.asarray(leaf.scale), [4, 2], 0)
  turned = np.concatenate([matrix(4) @ values[:4], matrix(2) @ values[4:]])
  want = np.where(leaf.signs, 1, -1)[:, None] * scale * turned
  if axis:
    leaf = example(codes=leaf.codes.T, scale=leaf.scale.T, axis=1)
    want = want.T
  np.testing.assert_allclose(leaf.decode(), want, rtol=1e-5, atol=1e-6)
  counts = np.unique(np.asarray(leaf.codes), return_counts=True)[1]
  entropy = -(counts * np.log2(counts / 18)).sum()
  assert leaf.bits() == pytest.approx(6 * 32 + 4 * 32 + 6 + entropy)
  back = jc.unpack(jc.pack({'w': leaf})).tree['w']
  assert isinstance(back, Rotated) and back.block == 4
  np.testing.assert_array_equal(back.decode(), leaf.decode())


@pytest.mark.parametrize(
  'changes',
  [
    {'axis': 2},
    {'axis': -1},
    {'block': 3},
    {'block': 0},
    {'scale': jnp.ones((3, 3))},
    {'scale': jnp.ones((2, 1))},
    {'signs': jnp.ones(3, bool)},
    {'centers': jnp.ones(0)},
  ],
)
def test_parts_that_do_not_fit_are_refused(changes):
  with pytest.raises(ValueError, match='do not make up a weight'):
    example(**changes).decode()


def test_a_file_whose_codes_are_beyond_the_centers_is_not_written():
  leaf = example(centers=jnp.array([-1.0, 0, 1]))
  with pytest.raises(ValueError, match='w has codes in 0 .. 3 and 3 centers'):
    jc.pack({'w': leaf})
