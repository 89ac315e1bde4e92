import compressors
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc


def loss(params, batch):
  return sum(jnp.sum((w - batch) ** 2) for w in jax.tree.leaves(params))


# A mask, a penalty, codebooks, a latent of parts, keys, gradients in update.
KINDS = (
  'identity',
  'magnitude',
  'surgery',
  'kmeans',
  'hessian_kmeans',
  'learned_step_magnitude',
  'fixed_point_stochastic',
  'loss_aware_binarize',
  'biased_decay',
  'incremental',
)


@pytest.mark.parametrize('name', KINDS)
def test_a_stock_loop_follows_the_explicit_loop(name):
  params = compressors.params()
  entry = compressors.entry(name, compressors.kernels())
  comp = jc.select(jc.KERNELS, entry.comp)
  tx = optax.sgd(0.01, momentum=0.9)

  explicit = jc.init_train_state(comp, tx, params)
  step = jc.train_step(loss, comp, tx)
  for t in range(10):
    explicit, _ = step(explicit, 0.1 * t)

  both = jc.as_optax(comp, tx)
  opt_state = both.init(params)
  params = comp.view(opt_state.latent, opt_state.state)

  @jax.jit
  def stock(params, opt_state, batch):
    grads = jax.grad(loss)(params, batch)
    updates, opt_state = both.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state

  for t in range(10):
    params, opt_state = stock(params, opt_state, 0.1 * t)
  want = comp.view(explicit.latent, explicit.state)
  for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(want), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_penalty_moves_the_latent():
  push = jc.leafwise(
    init=lambda w: (w, ()),
    view=lambda w, s: w,
    encode=lambda w, s: jc.encoded.Dense(w),
    penalty=lambda w, s: 3 * w.sum(),
  )
  tx = jc.as_optax(push, optax.sgd(1.0))
  params = jnp.ones(2)
  updates, _ = tx.update(jnp.zeros(2), tx.init(params), params)
  np.testing.assert_array_equal(updates, [-3, -3])


def test_update_without_params_is_refused():
  tx = jc.as_optax(jc.identity(), optax.sgd(1.0))
  with pytest.raises(ValueError, match='needs the params'):
    tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
