import jax
import jax.numpy as jnp
import pytest
from helpers import equations

from jcompress.numerics import exact


@pytest.mark.parametrize(
  'product',
  [
    lambda x: exact.einsum('ij,kj->ik', x, x),
    lambda x: exact.matmul(x, x.T),
    lambda x: exact.vdot(x, x),
    lambda x: exact.second_moments(x[None]),
  ],
  ids=['einsum', 'matmul', 'vdot', 'second_moments'],
)
def test_products_keep_all_bits(product):
  jaxpr = jax.make_jaxpr(product)(jnp.ones((2, 3))).jaxpr
  (found,) = [e for e in equations(jaxpr) if e.primitive.name == 'dot_general']
  assert found.params['precision'] == (jax.lax.Precision.HIGHEST,) * 2


def test_second_moments_of_two_groups():
  rows = jnp.array([[[1.0, 2.0], [3.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]])
  want = [[[5.0, 1.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 5.0]]]
  assert exact.second_moments(rows).tolist() == want
