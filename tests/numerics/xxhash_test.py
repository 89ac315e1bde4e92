import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.numerics.xxhash import xxhash32


def hash_of_bytes(data, seed):
  """The 32-bit xxHash of four bytes, in plain Python."""
  word = int.from_bytes(data, 'little')
  h = (seed + 374761393 + 4 + word * 3266489917) % 2**32
  h = (h << 17 | h >> 15) * 668265263 % 2**32
  h = (h ^ h >> 15) * 2246822519 % 2**32
  h = (h ^ h >> 13) * 3266489917 % 2**32
  return h ^ h >> 16


@pytest.mark.parametrize(
  ('data', 'want'), [(b'abcd', 0xA3643705), (b'\0\0\0\0', 0x08D6D969)]
)
def test_the_hash_is_xxhash(data, want):
  word = jnp.uint32(int.from_bytes(data, 'little'))
  assert int(xxhash32(word, 0)) == want == hash_of_bytes(data, 0)


def test_the_hash_of_many_words_and_large_seeds():
  words = np.random.default_rng(0).integers(0, 2**32, 50, np.uint32)
  got = xxhash32(jnp.asarray(words), jnp.uint32(2**32 - 5))
  want = [hash_of_bytes(w.tobytes(), 2**32 - 5) for w in words]
  np.testing.assert_array_equal(got, np.array(want, np.uint32))
