import jax
import jax.numpy as jnp
import pytest
from helpers import equations

from jcompress import exact


@pytest.mark.parametrize(
  'product',
  [
    lambda x: exact.einsum('ij,kj->ik', x, x),
    lambda x: exact.matmul(x, x.T),
    lambda x: exact.vdot(x, x),
  ],
  ids=['einsum', 'matmul', 'vdot'],
)
def test_products_keep_all_bits(product):
  jaxpr = jax.make_jaxpr(product)(jnp.ones((2, 3))).jaxpr
  (found,) = [e for e in equations(jaxpr) if e.primitive.name == 'dot_general']
  assert found.params['precision'] == (jax.lax.Precision.HIGHEST,) * 2
