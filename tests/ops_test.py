import jax
import jax.numpy as jnp
import pytest

from jcompress import ops

KEY = jax.random.key(0)
OPS = {
  'sign': ops.sign,
  'stochastic_sign': lambda x: ops.stochastic_sign(KEY, x),
  'hwgq': lambda x: ops.hwgq(x, 2),
  'linear_activation': lambda x: ops.linear_activation(x, 1.0, 4),
  'dorefa_activation': lambda x: ops.dorefa_activation(x, 2),
  'dorefa_gradient': lambda x: ops.dorefa_gradient(x, 4, KEY),
  'learned_step': lambda x: ops.learned_step_activation(x, jnp.float32(0.3), 3),
  'xnor_activation': lambda x: ops.xnor_activation(x, 2),
  'xnor_gradient': ops.xnor_gradient,
  'pact': lambda x: ops.pact(x, jnp.float32(1.0), 3),
  'group_pool': lambda x: ops.group_pool(jnp.concatenate([x, -x], -1), 2),
  'fixed_point': lambda x: ops.fixed_point_round(x, 3, 4),
  'fixed_point_op': lambda x: ops.fixed_point_op(lambda x: 2 * x, 3, 4)(x),
}


@pytest.mark.parametrize('name', OPS)
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_an_op_and_its_gradient_keep_the_dtype_and_are_finite(name, dtype):
  x = jnp.array([[-2.0, -0.3, 0.0], [0.2, 1.0, 3.0]], dtype)
  y, back = jax.vjp(jax.jit(OPS[name]), x)
  (grad,) = back(jnp.ones_like(y))
  for got in (y, grad):
    assert got.dtype == dtype and got.shape == x.shape
    assert jnp.isfinite(got).all()
  assert (grad != 0).any() and ('gradient' in name or (y != x).any())
