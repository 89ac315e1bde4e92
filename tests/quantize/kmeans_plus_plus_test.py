import jax
import jax.numpy as jnp
import numpy as np

from jcompress.quantize.kmeans_plus_plus import choose_start

CORNERS = jnp.array([[0.0, 0], [0, 9], [9, 0], [9, 9]])


def start(x, h, k, seed, candidates=3):
  marks = np.random.default_rng(seed).random((k, candidates), np.float32)
  x = jnp.asarray(x, jnp.float32)
  return jax.jit(choose_start)(x, jnp.asarray(h), jnp.asarray(marks))


def test_every_corner_of_a_square_is_chosen_before_its_neighbours():
  x = jnp.concatenate([CORNERS + 0.01 * i for i in range(5)])
  for seed in range(10):
    chosen, codes = start(x, jnp.ones(20), 4, seed)
    assert sorted(np.asarray(chosen) % 4) == [0, 1, 2, 3]
    np.testing.assert_array_equal(chosen[codes] % 4, jnp.arange(20) % 4)


def test_codes_are_those_of_the_nearest_chosen_vector():
  x = jax.random.normal(jax.random.key(0), (50, 11))
  chosen, codes = start(x, jnp.ones(50), 7, 1)
  squares = jnp.square(x[:, None] - x[chosen]).sum(-1)
  np.testing.assert_allclose(
    jnp.take_along_axis(squares, codes[:, None], 1)[:, 0], squares.min(1)
  )


def test_vectors_without_importance_are_not_chosen():
  h = jnp.array([1.0, 0, 1, 0])
  for seed in range(10):
    chosen, _ = start(CORNERS, h, 2, seed)
    assert sorted(np.asarray(chosen)) == [0, 2]


def test_the_first_vector_is_drawn_by_importance():
  h = jnp.array([1.0, 1, 2, 4])
  marks = jnp.linspace(0, 1, 800, endpoint=False)[:, None, None]
  first = jax.vmap(lambda mark: choose_start(CORNERS, h, mark)[0][0])(marks)
  assert np.bincount(first).tolist() == [100, 100, 200, 400]
