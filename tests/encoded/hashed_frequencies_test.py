import jax
import jax.numpy as jnp
import leaves
import numpy as np
import pytest
import scipy.fft

from jcompress.encoded import Hashed, HashedFrequencies
from jcompress.encoded.hashed_frequencies import (
  band_count,
  bands,
  look_up_frequencies,
)

SEED = jnp.uint32(7)


def buckets(k, dtype=jnp.float32):
  return jnp.arange(1, k + 1).astype(dtype)


def test_bands_add_the_frequencies_of_spatial_axes():
  np.testing.assert_array_equal(
    bands((2, 3, 4, 5)).reshape(2, 3), [[0, 1, 2], [1, 2, 3]]
  )
  shapes = [(2, 3, 4, 5), (7, 2, 2), (4, 5), (6,), (), (3, 0, 1, 1)]
  assert [band_count(s) for s in shapes] == [4, 7, 1, 1, 1, 3]


def test_the_kernel_is_the_inverse_dct_of_hashed_frequencies():
  shape, counts = (3, 4, 2, 5), (2, 3, 1, 4, 2, 3)
  w = HashedFrequencies(buckets(15), SEED, shape, counts).decode()
  found = scipy.fft.dctn(np.asarray(w, float), axes=(0, 1), norm='ortho')
  whole = np.rint(found).astype(int)
  np.testing.assert_allclose(found, whole, atol=1e-5)
  ends = np.cumsum(counts)
  for band, (end, count) in enumerate(zip(ends, counts, strict=True)):
    read = np.abs(whole[np.broadcast_to(bands(shape) == band, shape)])
    assert set(read) == set(range(end - count + 1, end + 1))
  assert 0.3 < (whole > 0).mean() < 0.7


@pytest.mark.parametrize('shape', [(), (0, 4), (7,), (8, 6)])
def test_without_spatial_axes_it_is_hashing(shape):
  leaf = HashedFrequencies(buckets(5), SEED, shape, (5,))
  want = Hashed(buckets(5), SEED, shape).decode()
  np.testing.assert_array_equal(leaf.decode(), want)
  assert leaf.bits() == 5 * 32 + 32


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_any_kernel_survives_the_file(dtype):
  for shape in ((3, 2, 4), (3, 3, 0, 2), (0, 3, 1, 2)):
    counts = (2,) * band_count(shape)
    leaf = HashedFrequencies(buckets(sum(counts), dtype), SEED, shape, counts)
    assert leaf.decode().dtype == dtype and leaf.decode().shape == shape
    leaves.assert_same(leaf, leaves.round_trip(leaf))


@pytest.mark.parametrize('shape', [(3, 3, 4, 5), (5, 5, 1, 20), (7, 3, 8)])
def test_a_compiled_kernel_is_the_decoded_one_bit_for_bit(shape):
  counts = (3,) * band_count(shape)
  w = jax.random.normal(jax.random.key(0), (sum(counts),))
  p = jnp.arange(np.prod(shape), dtype=jnp.uint32).reshape(shape)
  compiled = jax.jit(
    lambda w: 2 * look_up_frequencies(w, SEED, p, counts).swapaxes(0, -1)
  )
  want = HashedFrequencies(w, SEED, shape, counts).decode()
  np.testing.assert_array_equal(compiled(w), 2 * want.swapaxes(0, -1))


@pytest.mark.parametrize(
  ('shape', 'counts'),
  [
    ((3, 3, 2, 2), (1, 1, 1, 1)),
    ((3, 3, 2, 2), (1, 1, 1, 1, 2)),
    ((3, 3, 2, 2), (2, 2, 2, -1, 0)),
    ((2, 2), ()),
    ((257, 1, 1), (1,) * 257),
    # What would take a table of 2^28 entries.
    ((2,) * 28 + (1, 1), (1,) * 29),
  ],
)
def test_bands_that_do_not_fit_are_refused(shape, counts):
  size = max(5, len(counts))
  with pytest.raises(ValueError, match='do not make up the frequencies'):
    HashedFrequencies(buckets(size), SEED, shape, counts).decode()


def test_what_is_no_hash_is_refused():
  with pytest.raises(ValueError, match='do not make up a weight'):
    HashedFrequencies(buckets(2), jnp.int32(0), (2, 2), (2,)).decode()
