import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import equations
from hypothesis import strategies as st

from jcompress.arithmetic.binary_dot import binary_dot, by_words
from jcompress.arithmetic.packing import pack_signs


def random_signs(*shape, seed=0):
  return np.random.default_rng(seed).choice(np.array([-1, 1]), shape)


@jax.jit
def packed_dot(x, w):
  x, w = jnp.asarray(x, jnp.float32), jnp.asarray(w, jnp.float32)
  return binary_dot(pack_signs(x), pack_signs(w, 0), w.shape[0])


def test_dots_of_1_to_100_signs_are_those_of_integers():
  x, w = random_signs(2, 100), random_signs(100, 3, seed=1)
  sizes = range(1, 101)
  got = jax.jit(lambda: [packed_dot(x[:, :n], w[:n]) for n in sizes])()
  for n, dots in zip(sizes, got, strict=True):
    np.testing.assert_array_equal(dots, x[:, :n] @ w[:n])


@hypothesis.given(
  st.lists(st.integers(0, 3), max_size=2),
  st.integers(0, 1500),
  st.integers(0, 9),
)
@hypothesis.settings(max_examples=8)
def test_dots_of_any_shape_are_those_of_integers(batch, size, n):
  x, w = random_signs(*batch, size), random_signs(size, n, seed=1)
  got = packed_dot(x, w)
  assert got.dtype == jnp.int32
  np.testing.assert_array_equal(got, x @ w)


@pytest.mark.parametrize('words', [31, 32, 37, 67])
def test_words_left_over_are_counted(words):
  x, w = random_signs(9, 32 * words), random_signs(32 * words, 3, seed=1)
  np.testing.assert_array_equal(packed_dot(x, w), x @ w)


@pytest.mark.parametrize('words', [160, 161])
@pytest.mark.parametrize('rows', [1, 8])
def test_few_rows_make_no_difference(rows, words):
  x, w = random_signs(rows, 32 * words), random_signs(32 * words, 3, seed=1)
  np.testing.assert_array_equal(packed_dot(x, w), x @ w)


@pytest.mark.parametrize('rows', [63, 64])
def test_many_rows_and_more_columns_make_no_difference(rows):
  x, w = random_signs(rows, 32 * 33), random_signs(32 * 33, 70, seed=1)
  np.testing.assert_array_equal(packed_dot(x, w), x @ w)


def test_a_row_of_ones_gives_the_greatest_dot():
  x = jnp.ones((1, 77))
  assert int(packed_dot(x, x.T)[0, 0]) == 77
  assert int(packed_dot(x, -x.T)[0, 0]) == -77


def test_vmap_over_either_side():
  x, w = random_signs(4, 2, 1300), random_signs(4, 1300, 3, seed=1)
  px = pack_signs(jnp.asarray(x, jnp.float32))
  pw = pack_signs(jnp.asarray(w, jnp.float32), 1)
  dot = lambda x, w: binary_dot(x, w, 1300)
  np.testing.assert_array_equal(jax.vmap(dot)(px, pw), x @ w)
  left = jax.vmap(dot, (None, 0))(px[0], pw)
  np.testing.assert_array_equal(left, x[0] @ w)


def test_nothing_of_the_size_of_rows_by_columns_by_words_is_formed():
  x, w = jnp.zeros((64, 128), jnp.uint32), jnp.zeros((128, 96), jnp.uint32)
  jaxpr = jax.make_jaxpr(lambda x, w: by_words(x, w))(x, w)
  sizes = [v.aval.size for e in equations(jaxpr.jaxpr) for v in e.outvars]
  assert max(sizes) <= 128 * 96  # of the packed columns


@pytest.mark.parametrize(
  ('x_spec', 'w_spec', 'out'),
  [
    (('a', None), (None, 'b'), ('a', 'b')),
    ((None, 'a'), ('a', None), (None, None)),
    ((None, None), (None, 'b'), (None, 'b')),
  ],
)
def test_on_a_mesh_dots_are_the_same(x_spec, w_spec, out):
  kinds = (jax.sharding.AxisType.Explicit,) * 2
  mesh = jax.make_mesh((4, 2), ('a', 'b'), axis_types=kinds)
  x, w = random_signs(8, 1280), random_signs(1280, 6, seed=1)
  with jax.set_mesh(mesh):
    place = lambda a, spec: jax.device_put(
      jnp.asarray(a, jnp.float32), jax.P(*spec)
    )
    got = jax.jit(packed_dot)(place(x, x_spec), place(w, w_spec))
    assert jax.typeof(got).sharding.spec == jax.P(*out)
  np.testing.assert_array_equal(got, x @ w)


def test_words_that_do_not_fit_are_refused():
  x, w = jnp.zeros((2, 3), jnp.uint32), jnp.zeros((3, 4), jnp.uint32)
  with pytest.raises(ValueError, match='do not fit columns of 2'):
    binary_dot(x, w[:2], 64)
  with pytest.raises(ValueError, match='97 signs do not take 3 words'):
    binary_dot(x, w, 97)
