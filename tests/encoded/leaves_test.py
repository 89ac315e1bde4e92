import jax
import jax.numpy as jnp
import numpy as np

from jcompress import encoded

LEAVES = {
  'dense': encoded.Dense(jnp.array([1.0, 2.0])),
  'signs': encoded.Signs(jnp.array([[True, False]]), jnp.array(0.5)),
  'sparse': encoded.Sparse(
    jnp.array([3.0, 9.0, 4.0]), jnp.array([True, False, True])
  ),
  'codebook': encoded.Codebook(jnp.array([0.0, 2.5]), jnp.array([1, 0, 1, 0])),
  'low_rank': encoded.LowRank(jnp.ones((2, 1)), jnp.array([[2.0, 3.0]]), (4,)),
}


def test_decode_gives_the_arrays():
  got = encoded.decode(LEAVES)
  want = {
    'dense': [1, 2],
    'signs': [[0.5, -0.5]],
    'sparse': [3, 0, 4],
    'codebook': [2.5, 0, 2.5, 0],
    'low_rank': [2, 3, 2, 3],
  }
  assert got.keys() == want.keys()
  for name in want:
    np.testing.assert_array_equal(got[name], want[name])


def test_bits_count_values_and_entropy_of_codes():
  want = {
    'dense': 64,
    'signs': 2 + 32,
    'sparse': 2 * 32 + 3 * (np.log2(3) - 2 / 3),
    'codebook': 2 * 32 + 4,
    'low_rank': 4 * 32,
  }
  for name, leaf in LEAVES.items():
    np.testing.assert_allclose(leaf.bits(), want[name], rtol=1e-6)
  np.testing.assert_allclose(
    encoded.bits(LEAVES), sum(want.values()), rtol=1e-6
  )


def test_half_precision_values_cost_sixteen_bits():
  leaf = encoded.Sparse(jnp.ones(4, jnp.bfloat16), jnp.ones(4, bool))
  assert leaf.bits() == 4 * 16
  assert leaf.decode().dtype == jnp.bfloat16


def test_leaves_pass_through_jit():
  got = jax.jit(lambda t: jax.tree.map(lambda x: x, t))(LEAVES)
  assert got['low_rank'].shape == (4,)
  assert jax.tree.structure(got) == jax.tree.structure(LEAVES)


def test_keys_are_their_words_and_their_generator():
  for impl, words in (('threefry2x32', 2), ('rbg', 4)):
    keys = jax.random.split(jax.random.key(1, impl=impl), 3)
    leaf = encoded.as_it_is(keys)
    assert type(leaf) is encoded.Key and leaf.data.shape == (3, words)
    assert leaf.bits() == 3 * words * 32
    assert (leaf.decode() == keys).all()
  assert type(encoded.as_it_is(jnp.ones(2))) is encoded.Dense
