import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.arithmetic.bit_planes import byte_conv, byte_dot
from jcompress.arithmetic.packing import pack_signs


def random_bytes(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def random_signs(*shape):
  return np.random.default_rng(1).choice(np.array([-1, 1]), shape)


def packed(w):
  return pack_signs(jnp.asarray(w, jnp.float32), -2)


def dots(x, w):
  return jax.jit(lambda x, w: (byte_dot(x, w), byte_dot(x, w, centered=True)))(
    jnp.asarray(x), packed(w)
  )


@pytest.mark.parametrize(
  ('batch', 'size'),
  [((), 3), ((2,), 784), ((2, 5), 100), ((9,), 31), ((0,), 7)],
)
def test_dots_are_those_of_integers(batch, size):
  x, w = random_bytes(*batch, size), random_signs(size, 4)
  plain, centered = dots(x, w)
  assert plain.dtype == centered.dtype == jnp.int32
  np.testing.assert_array_equal(plain, x.astype(int) @ w)
  np.testing.assert_array_equal(centered, (2 * x.astype(int) - 255) @ w)


def test_the_greatest_sums_are_exact():
  x, w = np.full((9, 5000), 255, np.uint8), np.ones((5000, 2), int)
  for got in dots(x, w):
    np.testing.assert_array_equal(got, 255 * 5000)


def integer_conv(x, w, strides, padding, groups):
  return jax.lax.conv_general_dilated(
    jnp.asarray(x, jnp.int32),
    jnp.asarray(w, jnp.int32),
    strides,
    padding,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=groups,
  )


@pytest.mark.parametrize(
  ('channels', 'strides', 'padding', 'groups'),
  [(3, (1, 1), 'SAME', 1), (4, (2, 1), ((1, 0), (0, 2)), 2)],
)
def test_convolutions_are_those_of_integers(channels, strides, padding, groups):
  x = random_bytes(2, 5, 6, channels)
  w = random_signs(3, 2, channels // groups, 4)
  form = strides, padding, groups
  plain, centered = jax.jit(
    lambda x, w: tuple(
      byte_conv(x, w, *form, centered=c) for c in (False, True)
    )
  )(jnp.asarray(x), packed(w))
  np.testing.assert_array_equal(plain, integer_conv(x, w, *form))
  np.testing.assert_array_equal(
    centered, integer_conv(2 * x.astype(int) - 255, w, *form)
  )


@pytest.mark.parametrize(
  ('x_spec', 'w_spec', 'out'),
  [(('a', None), (None, 'b'), ('a', 'b')), ((None, 'a'), ('a',), ())],
)
def test_on_a_mesh_dots_are_the_same(x_spec, w_spec, out):
  kinds = (jax.sharding.AxisType.Explicit,) * 2
  mesh = jax.make_mesh((4, 2), ('a', 'b'), axis_types=kinds)
  x, w = random_bytes(8, 256), random_signs(256, 6)
  with jax.set_mesh(mesh):
    got = jax.jit(byte_dot)(
      jax.device_put(jnp.asarray(x), jax.P(*x_spec)),
      jax.device_put(packed(w), jax.P(*w_spec)),
    )
    spec = (*out, None, None)[:2]
    assert jax.typeof(got).sharding.spec == jax.P(*spec)
  np.testing.assert_array_equal(got, x.astype(int) @ w)


def test_rows_that_do_not_fit_are_refused():
  with pytest.raises(ValueError, match='65 signs do not take 2 words'):
    byte_dot(jnp.zeros((2, 65), jnp.uint8), jnp.zeros((2, 4), jnp.uint32))
