import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.traced.operands import Operand


def follow(f, shape):
  """The operand after the one-argument equations of a function."""
  jaxpr = jax.make_jaxpr(f)(jnp.zeros(shape)).jaxpr
  operand = Operand('w', tuple((i,) for i in range(len(shape))), shape)
  for eqn in jaxpr.eqns:
    operand = operand and operand.after(eqn)
  return operand


@pytest.mark.parametrize(
  ('f', 'dims'),
  [
    (lambda w: w.T, ((2,), (1,), (0,))),
    (lambda w: w.reshape(6, 4), ((0, 1), (2,))),
    (lambda w: w.reshape(2, 3, 2, 2), ((0,), (1,), (2,), (2,))),
    (lambda w: w[None, :, :, None], ((), (0,), (1,), (), (2,))),
    (lambda w: w.reshape(2, 12).T, ((1, 2), (0,))),
    (lambda w: jax.lax.rev(w, (1,)).astype(jnp.bfloat16), ((0,), (1,), (2,))),
    (lambda w: w.reshape(-1), ((0, 1, 2),)),
  ],
)
def test_dimensions_keep_the_axes_that_they_hold(f, dims):
  assert follow(f, (2, 3, 4)).dims == dims


@pytest.mark.parametrize(
  'f', [lambda w: 2 * w, lambda w: w.reshape(4, 6), lambda w: w.sum(0)]
)
def test_changed_or_mixed_entries_are_not_followed(f):
  assert follow(f, (2, 3, 4)) is None


def test_restore_inverts_arrange():
  operand = follow(lambda w: jax.lax.rev(w.reshape(6, 4).T, (0,)), (2, 3, 4))
  w = jnp.arange(24).reshape(2, 3, 4)
  arranged = operand.arrange(w)
  np.testing.assert_array_equal(arranged, np.flip(w.reshape(6, 4).T, 0))
  np.testing.assert_array_equal(operand.restore(arranged), w)


def test_entries_are_cast_only_where_asked():
  operand = follow(lambda w: w.astype(jnp.bfloat16), (3,))
  w = jnp.array([1, 2, 70001])
  assert operand.arrange(w).tolist() == [1, 2, 70001]
  assert operand.arrange(w, cast=True).dtype == jnp.bfloat16
