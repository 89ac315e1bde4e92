import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.arithmetic.packing import pack_signs
from jcompress.arithmetic.xnor_ops import binary_conv, xnor_conv, xnor_dense


def normal(*shape, seed=0, dtype=jnp.float32):
  return jax.random.normal(jax.random.key(seed), shape, dtype)


def hard_sign(x):
  """A sign whose gradient is that of a hard tanh, by autodiff."""
  inside = jnp.where(jnp.abs(x) <= 1, x, 0)
  value = jnp.where(x >= 0, 1, -1).astype(x.dtype)
  return inside - jax.lax.stop_gradient(inside - value)


def float_conv(
  x, w, strides=(1, 1), padding='VALID', groups=1, dilation=(1, 1)
):
  return jax.lax.conv_general_dilated(
    hard_sign(x),
    hard_sign(w),
    strides,
    padding,
    rhs_dilation=dilation,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=groups,
  )


def assert_same_values_and_gradients(f, g, *args):
  """Cotangents are whole numbers, so that sums are exact in any order."""

  def results(f, *args):
    out, pull = jax.vjp(f, *args)
    cotangent = jnp.arange(out.size, dtype=out.dtype).reshape(out.shape) % 7
    return out, *pull(cotangent)

  got, want = (jax.jit(functools.partial(results, h))(*args) for h in (f, g))
  for a, b in zip(got, want, strict=True):
    np.testing.assert_array_equal(a, b)


def test_dense_and_its_gradient_are_those_of_float_signs():
  x = normal(2, 3, 37).at[0, 0, :3].set(jnp.array([1.0, -1.0, 0.0]))
  w = normal(37, 5, seed=1).at[:3, 0].set(jnp.array([-1.0, 1.0, 0.0]))
  assert_same_values_and_gradients(
    jax.jit(xnor_dense), lambda x, w: hard_sign(x) @ hard_sign(w), x, w
  )


def test_the_gradient_stops_beyond_one():
  x, w = jnp.array([[1.0, 1.5]]), jnp.array([[0.5], [-2.0]])
  grads = jax.grad(lambda x, w: 3 * xnor_dense(x, w).sum(), (0, 1))(x, w)
  np.testing.assert_array_equal(grads[0], [[3, 0]])
  np.testing.assert_array_equal(grads[1], [[3], [0]])


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_half_precision_counts_exactly_before_it_rounds(dtype):
  x = jnp.ones((1, 1027), dtype)
  got = xnor_dense(x, x.T)
  assert got.dtype == dtype
  assert got[0, 0] == jnp.asarray(1027, dtype)
  grad = jax.grad(lambda x: xnor_dense(x, x.T).astype(jnp.float32).sum())(x)
  assert grad.dtype == dtype and (grad == 2).all()


def test_dense_under_vmap_and_grad():
  x, w = normal(4, 3, 40), normal(4, 40, 2, seed=1)
  loss = lambda x, w: jnp.sum(xnor_dense(x, w) * jnp.array([1.0, 2.0]))
  got = jax.jit(jax.vmap(jax.grad(loss, 1)))(x, w)
  alone = jax.jit(jax.grad(loss, 1))
  want = jnp.stack([alone(x[i], w[i]) for i in range(4)])
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
  ('channels', 'out', 'strides', 'padding', 'groups'),
  [
    (3, 4, (1, 1), 'VALID', 1),
    (40, 3, (1, 1), 'SAME', 1),
    (1, 6, (2, 1), 'SAME', 6),
    (5, 4, (2, 3), 'SAME_LOWER', 2),
    (33, 4, (1, 2), ((0, 2), (3, 1)), 2),
    (2, 2, (3, 3), ((4, 0), (0, 5)), 1),
  ],
)
def test_conv_and_its_gradient_are_those_of_float_signs(
  channels, out, strides, padding, groups
):
  x = normal(2, 6, 7, channels * groups)
  w = normal(3, 2, channels, out, seed=1)
  options = strides, padding, groups
  assert_same_values_and_gradients(
    lambda x, w: xnor_conv(x, w, *options),
    lambda x, w: float_conv(x, w, *options),
    x,
    w,
  )


@pytest.mark.parametrize(
  ('channels', 'strides', 'padding', 'groups', 'dilation'),
  [
    (3, (1, 1), 'VALID', 1, (2, 3)),
    (40, (2, 1), 'SAME', 1, (2, 2)),
    (5, (1, 2), 'SAME_LOWER', 2, (3, 1)),
    (33, (1, 1), ((4, 2), (0, 7)), 2, (1, 6)),
  ],
)
def test_a_dilated_window_is_that_of_lax(
  channels, strides, padding, groups, dilation
):
  x = normal(2, 7, 8, channels * groups)
  w = normal(3, 2, channels, 4, seed=1)
  options = strides, padding, groups, dilation
  assert_same_values_and_gradients(
    lambda x, w: xnor_conv(x, w, *options),
    lambda x, w: float_conv(x, w, *options),
    x,
    w,
  )
  got = binary_conv(x >= 0, pack_signs(w, 2), *options)
  np.testing.assert_array_equal(got, float_conv(x, w, *options))


def test_a_dilated_window_that_is_larger_than_the_input():
  x, w = normal(1, 4, 4, 2), normal(3, 3, 2, 4)
  assert xnor_conv(x, w, dilation=(2, 1)).shape == (1, 0, 2, 4)


def test_padding_adds_nothing():
  x, w = jnp.ones((1, 1, 1, 3)), jnp.ones((3, 3, 3, 1))
  # As signs, zeros around the one position would add up to 27 or -21.
  assert float(xnor_conv(x, w, padding='SAME')[0, 0, 0, 0]) == 3


def test_the_convolution_of_rastegari_et_al_by_hand():
  x = jnp.array(
    [
      [[1, -2, 3], [0.5, -1, 2], [-0.5, 1, -1.5]],
      [[-1, 2, 1], [1.5, 0, -2], [0.5, -1, 0.5]],
    ]
  )
  w = jnp.array(
    [[[0.5, -0.25], [1, -0.75]], [[-0.5, 0.25], [0.75, 1]]], jnp.float32
  )
  got = xnor_conv(
    jnp.moveaxis(x, 0, -1)[None], jnp.moveaxis(w, 0, -1)[..., None]
  )
  np.testing.assert_array_equal(got[0, ..., 0], [[8, -4], [0, -2]])


def test_conv_under_vmap():
  x, w = normal(3, 1, 4, 4, 8), normal(3, 3, 3, 4, 2, seed=1)
  f = lambda x, w: xnor_conv(x, w, padding='SAME', groups=2)
  got = jax.jit(jax.vmap(f))(x, w)
  for i in range(3):
    np.testing.assert_array_equal(
      got[i], float_conv(x[i], w[i], padding='SAME', groups=2)
    )


def test_empty_arrays():
  assert xnor_dense(normal(0, 5), normal(5, 2)).shape == (0, 2)
  np.testing.assert_array_equal(
    xnor_dense(normal(2, 0), normal(0, 3)), jnp.zeros((2, 3))
  )
  assert xnor_conv(normal(1, 2, 5, 2), normal(3, 3, 2, 4)).shape == (1, 0, 3, 4)


@pytest.mark.parametrize('batch', ['a', None])
@pytest.mark.parametrize('inputs', ['b', None])
def test_on_a_mesh_values_and_gradients_are_the_same(batch, inputs):
  kinds = (jax.sharding.AxisType.Explicit,) * 2
  mesh = jax.make_mesh((4, 2), ('a', 'b'), axis_types=kinds)
  outputs = None if inputs else 'b'

  def run(f, x, w):
    out, pull = jax.vjp(f, x, w)
    return out, *pull(jnp.ones_like(out))

  for f, x, w in (
    (xnor_dense, normal(8, 64), normal(64, 4, seed=1)),
    (
      lambda x, w: xnor_conv(x, w, padding='SAME'),
      normal(4, 3, 3, 6),
      normal(3, 3, 6, 4, seed=1),
    ),
  ):
    want = jax.jit(lambda x, w, f=f: run(f, x, w))(x, w)
    middle = (None,) * (x.ndim - 2)
    with jax.set_mesh(mesh):
      sharded = (
        jax.device_put(x, jax.P(batch, *middle, inputs)),
        jax.device_put(w, jax.P(*middle, inputs, outputs)),
      )
      got = jax.jit(lambda x, w, f=f: run(f, x, w))(*sharded)
    for a, b in zip(got, want, strict=True):
      np.testing.assert_array_equal(a, b)


def test_bad_input_is_refused():
  x, w = normal(1, 4, 4, 4), normal(3, 3, 4, 4)
  with pytest.raises(ValueError, match='last axis must be 5'):
    xnor_dense(normal(2, 4), normal(5, 3))
  with pytest.raises(ValueError, match='4 channels for each group'):
    xnor_conv(x[..., :3], w)
  with pytest.raises(ValueError, match='must divide the 4 outputs'):
    xnor_conv(x, w, groups=3)
  with pytest.raises(ValueError, match='strides=.0, 1. be positive'):
    xnor_conv(x, w, (0, 1))
  with pytest.raises(ValueError, match='dilation=.1, 0. must be two positive'):
    xnor_conv(x, w, dilation=(1, 0))
  with pytest.raises(ValueError, match="padding is 'FULL'"):
    xnor_conv(x, w, padding='FULL')
  with pytest.raises(ValueError, match='none negative'):
    xnor_conv(x, w, padding=((0, 0), (-1, 0)))
  with pytest.raises(ValueError, match='a kernel of 1 words'):
    binary_conv(normal(1, 4, 4, 64), pack_signs(w, 2))
