import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st

import jcompress as jc
from jcompress.encoded.hashed_frequencies import band_count, bands
from jcompress.share.frequency_hashing import band_buckets

SHAPE = (3, 3, 4, 6)


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def dct(w):
  return scipy.fft.dctn(np.asarray(w, float), axes=(0, 1), norm='ortho')


def index_and_sign(state, k, counts):
  """Which bucket each frequency reads, and with which sign."""
  leaf = jc.encoded.HashedFrequencies(
    jnp.arange(1.0, k + 1), state.seed, SHAPE, counts
  )
  places = np.rint(dct(leaf.decode())).astype(int)
  return np.abs(places) - 1, np.sign(places)


def test_gradient_is_the_signed_sum_over_the_dct():
  comp = jc.hash_frequencies(buckets=40)
  w, state = comp.init(normal(*SHAPE))
  counts = comp.encode(w, state).counts
  index, sign = index_and_sign(state, 40, counts)
  np.testing.assert_allclose(
    dct(comp.view(w, state)), w[index] * sign, atol=1e-5
  )
  grad = normal(*SHAPE, seed=1)
  got = jax.jit(jax.grad(lambda w: jnp.vdot(comp.view(w, state), grad)))(w)
  want = np.bincount(index.ravel(), (dct(grad) * sign).ravel(), 40)
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_trained_kernels_are_met_in_least_squares():
  comp = jc.hash_frequencies(0.2, params='trained')
  w = normal(*SHAPE)
  latent, state = comp.init(w)
  assert latent.shape == (round(0.2 * 216),)
  gap = lambda l: ((comp.view(l, state) - w) ** 2).sum()
  np.testing.assert_allclose(jax.jit(jax.grad(gap))(latent), 0, atol=1e-4)


def test_smooth_kernels_lose_less_than_by_plain_hashing():
  line = jnp.linspace(-1, 1, 5)
  hill = jnp.exp(-(line[:, None] ** 2) - line**2)[..., None, None]
  w = hill * normal(1, 1, 8, 16)
  lost = lambda comp: ((comp.view(*comp.init(w)) - w) ** 2).sum()
  plain, banded = jax.jit(
    lambda: (
      lost(jc.hash_weights(1 / 16, params='trained')),
      lost(jc.hash_frequencies(1 / 16, params='trained')),
    )
  )()
  assert banded < 0.8 * plain


def test_drawn_kernels_keep_their_variance():
  comp = jc.hash_frequencies(1 / 16)
  view = comp.view(*comp.init(0.05 * normal(3, 3, 40, 80)))
  np.testing.assert_allclose(view.std(), 0.05, rtol=0.1)


def test_the_file_is_the_view_bit_for_bit():
  comp = jc.hash_frequencies(0.25)
  latent, state = comp.init({'conv': normal(*SHAPE), 'line': normal(5, 3, 4)})
  view = jax.jit(comp.view)(latent, state)
  read = jc.decode(jc.unpack(jc.pack(comp.encode(latent, state))).tree)
  for name in view:
    np.testing.assert_array_equal(read[name], view[name])


def test_without_spatial_axes_it_is_plain_hashing():
  w = {'kernel': normal(8, 6), 'bias': normal(6)}
  plain, comp = jc.hash_weights(0.5), jc.hash_frequencies(0.5)
  for a, b in zip(
    jax.tree.leaves(plain.view(*plain.init(w))),
    jax.tree.leaves(comp.view(*comp.init(w))),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


@given(
  st.lists(st.integers(1, 5), min_size=1, max_size=2),
  st.integers(0, 6),
  st.floats(0.01, 1.2),
  st.floats(0.1, 1),
  st.floats(1, 5),
)
def test_bands_get_all_buckets_and_low_bands_the_larger_share(
  sides, places, ratio, alpha, beta
):
  shape = (*sides, places, 3)
  size = int(np.prod(shape))
  total = max(band_count(shape), round(ratio * size))
  found = np.array(band_buckets(shape, total, alpha, beta))
  assert found.sum() == total and found.min() >= 1
  sizes = 3 * places * np.bincount(bands(shape).ravel())
  if total <= size:
    assert (found <= np.maximum(sizes, 1)).all()
    # To a whole bucket.
    shares = found / sizes
    assert (np.diff(shares) <= 2 / sizes[:-1] + 1e-9).all()


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'exactly one'),
    ({'ratio': 0.0}, 'ratio is 0.0'),
    ({'ratio': 0.5, 'alpha': 0.0}, 'alpha is 0.0'),
    ({'ratio': 0.5, 'alpha': 1.5}, 'alpha is 1.5'),
    ({'ratio': 0.5, 'beta': 0.5}, 'beta is 0.5'),
    ({'ratio': 0.5, 'params': 'random'}, "params is 'random'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.hash_frequencies(**arguments)


@pytest.mark.parametrize(
  ('shape', 'message'),
  [((3, 3, 2, 2), 'has 5 bands'), ((300, 1, 2), 'may be 256 long')],
)
def test_kernels_that_do_not_fit_are_refused(shape, message):
  with pytest.raises(ValueError, match=message):
    jc.hash_frequencies(buckets=4).init(jnp.ones(shape))
