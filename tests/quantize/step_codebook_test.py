import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.quantize.step_codebook import BALANCED, step_codebook

NORMAL = np.random.default_rng(0).standard_normal((200, 100)).astype('float32')


def cost(w, leaf, step, strength):
  """Squared error and price of the bits, by hand."""
  change = np.asarray(leaf.decode(), np.float64) - w
  _, counts = np.unique(leaf.codes, return_counts=True)
  bits = -(counts * np.log2(counts / w.size)).sum()
  return (change**2).sum() + strength * step**2 * bits


def test_nearest_multiples_and_means():
  w = np.array([[0.0, 0.4, 0.9], [1.1, -2.3, 0.05]], np.float32)
  leaf = step_codebook(w, 1.0, strength=0)
  np.testing.assert_allclose(
    leaf.decode(), [[0, 0, 1.0], [1.0, -2.3, 0]], rtol=1e-6
  )
  assert leaf.codes.dtype == jnp.uint8 and len(leaf.centers) == 3


def test_bits_that_cost_are_saved():
  plain = step_codebook(NORMAL, 1.0, strength=0)
  cheap = step_codebook(NORMAL, 1.0)
  assert cheap.bits() < plain.bits()
  costs = [cost(NORMAL, leaf, 1.0, BALANCED) for leaf in (cheap, plain)]
  assert costs[0] < costs[1]
  sparse = step_codebook(NORMAL, 1.0, strength=0.5)
  zeros = [(np.asarray(x.decode()) == 0).mean() for x in (plain, sparse)]
  assert zeros[1] > zeros[0] + 0.05


def test_a_quarter_of_a_bit_from_the_best_of_a_gaussian():
  for step in (0.25, 0.5, 1.0):
    leaf = step_codebook(NORMAL, step)
    change = np.asarray(leaf.decode()) - NORMAL
    rate = leaf.bits() / NORMAL.size - 32 * len(leaf.centers) / NORMAL.size
    best = 0.5 * np.log2(1 / (change**2).mean())
    assert best < rate < best + 0.27


@given(
  st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40),
  st.floats(0.03, 50),
  st.sampled_from([0.0, BALANCED, 1.0]),
)
def test_values_stay_near_and_zeros_zero(values, step, strength):
  w = np.array(values, np.float32)
  shown = np.asarray(step_codebook(w, step, strength=strength).decode())
  assert (shown[w == 0] == 0).all()
  if not strength:
    assert (np.abs(shown - w) <= step * (1 + 1e-5)).all()


@pytest.mark.parametrize('shape', [(), (0,), (0, 3), (3, 0)])
def test_small_and_empty_arrays(shape):
  w = jnp.full(shape, 2.0, jnp.bfloat16)
  shown = step_codebook(w, 0.5).decode()
  assert shown.dtype == jnp.bfloat16 and shown.shape == shape
  np.testing.assert_array_equal(shown, w)


@pytest.mark.parametrize(
  ('w', 'step', 'strength', 'message'),
  [
    ([1.0], 0.0, 0.1, 'step is 0.0'),
    ([1.0], np.inf, 0.1, 'step is inf'),
    ([1.0], 1.0, -0.1, 'strength -0.1'),
    ([0.0, 1e6], 1.0, 0.1, '1,000,001 values; at most 65,535'),
    ([np.nan], 1.0, 0.1, 'NaN or inf'),
  ],
)
def test_what_is_out_of_range_is_refused(w, step, strength, message):
  with pytest.raises(ValueError, match=message):
    step_codebook(np.array(w, np.float32), step, strength=strength)
