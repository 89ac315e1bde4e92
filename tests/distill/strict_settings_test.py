"""Every loss where nothing is promoted and nothing may be NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

Z = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
MAPS = np.random.default_rng(1).normal(size=(4, 2, 2, 3)).astype(np.float32)
LABELS = np.array([0, 4, 2, 2], np.int32)
LOSSES = {
  'soft_targets': lambda z, m, y: jc.distill.soft_targets(
    z, z[::-1], weights=jnp.ones(4)
  ),
  'logit_l2': lambda z, m, y: jc.distill.logit_l2(z, z[::-1]),
  'decoupled': lambda z, m, y: jc.distill.decoupled(z, z[::-1], y),
  'mutual': lambda z, m, y: jc.distill.mutual(jnp.stack([z, z[::-1]]), y).sum(),
  'hint': lambda z, m, y: jc.distill.hint(m, m[::-1]),
  'attention': lambda z, m, y: jc.distill.attention(
    jnp.where(m > 1, m, 0), m[::-1]
  ),
  'flow': lambda z, m, y: jc.distill.flow((m, m), (m[::-1], m)),
  'relational': lambda z, m, y: jc.distill.relational(m, m[::-1]),
  'loss': lambda z, m, y: jc.distill.loss(jnp.multiply, jnp.add)(z, (z, z, y))[
    0
  ],
}


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize('name', LOSSES)
def test_a_loss_and_its_gradient_under_strict_settings(name, dtype):
  z, maps = (jnp.asarray(x, dtype) for x in (Z, MAPS))
  f = lambda z, m: LOSSES[name](z, m, jnp.asarray(LABELS))
  with (
    jax.numpy_rank_promotion('raise'),
    jax.numpy_dtype_promotion('strict'),
    jax.debug_nans(True),
  ):
    value, grads = jax.jit(jax.value_and_grad(f, (0, 1)))(z, maps)
  assert value.dtype == jnp.float32 and np.isfinite(value)
  assert {g.dtype for g in grads} == {jnp.dtype(dtype)}
