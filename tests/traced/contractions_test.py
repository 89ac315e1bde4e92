import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.traced.contractions import contraction
from jcompress.traced.operands import Operand


def read(f, *args, kernels=(1,)):
  """The last equation of a function, some of whose arguments are kernels."""
  jaxpr = jax.make_jaxpr(f)(*args).jaxpr
  operands = {
    jaxpr.invars[i]: Operand(
      'w', tuple((d,) for d in range(args[i].ndim)), args[i].shape
    )
    for i in kernels
  }
  eqn = jaxpr.eqns[-1]
  return contraction(eqn, [operands.get(a) for a in eqn.invars])


def test_a_dot_with_batch_axes_is_one_product_a_group():
  x, w = jnp.arange(24.0).reshape(2, 3, 4), jnp.arange(60.0).reshape(4, 3, 5)
  dot = lambda x, w: jax.lax.dot_general(x, w, (((2,), (0,)), ((1,), (1,))))
  found = read(dot, x, w)
  assert (found.in_axes, found.out_axes, found.groups) == ((0,), (1, 2), 3)
  np.testing.assert_allclose(
    found.unfold(x) @ found.matrix(w), found.response(dot(x, w))
  )
  np.testing.assert_array_equal(found.kernel(found.matrix(w)), w)


def test_the_kernel_may_stand_on_the_left():
  x, w = jnp.ones((4, 7)), jnp.ones((5, 4))
  found = read(lambda w, x: jnp.dot(w, x), w, x, kernels=(0,))
  assert (found.side, found.in_axes, found.out_axes) == (0, (1,), (0,))
  assert found.response(w @ x).shape == (1, 7, 5)


@pytest.mark.parametrize(
  ('f', 'kernels'),
  [(jnp.dot, (0, 1)), (jnp.dot, ()), (jnp.add, (1,))],
)
def test_what_is_no_product_of_an_input_with_a_kernel(f, kernels):
  assert read(f, jnp.ones((3, 3)), jnp.ones((3, 3)), kernels=kernels) is None


def test_the_input_gradient_of_a_convolution_is_not_taken_for_a_layer():
  conv = lambda x, w: jax.lax.conv_general_dilated(
    x, w, (1, 1), 'VALID', batch_group_count=2
  )
  assert read(conv, jnp.ones((2, 3, 4, 4)), jnp.ones((4, 3, 2, 2))) is None
