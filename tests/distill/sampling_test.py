import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

KEY = jax.random.key(0)
DATA = jnp.asarray(np.random.RandomState(0).randn(20) + 1, jnp.float32)


def chains(batch, steps=4000, count=64, rate=0.01):
  """Draws of the mean of a normal variable with the prior N(0, 1)."""

  def loss(mean, x):
    return 0.5 * jnp.mean(jnp.square(x - mean))

  def one(key):
    tx = jc.distill.sgld(rate, 20, jax.random.fold_in(key, 1))
    start = jnp.float32(1.5)

    def step(carry, own):
      mean, state = carry
      chosen = DATA
      if batch < 20:
        chosen = DATA[jax.random.randint(own, (batch,), 0, 20)]
      updates, state = tx.update(jax.grad(loss)(mean, chosen), state, mean)
      mean = optax.apply_updates(mean, updates)
      return (mean, state), mean

    return jax.lax.scan(
      step, (start, tx.init(start)), jax.random.split(key, steps)
    )

  keys = jax.random.split(KEY, count)
  return np.asarray(jax.jit(jax.vmap(one))(keys)[1])[:, 200:]


def test_the_mean_is_that_of_the_posterior_and_the_variance_of_full_batches():
  draws = chains(20)
  np.testing.assert_allclose(draws.mean(), 1.494604, atol=0.01)
  # That of a walk in steps of 0.01; of smaller ones 1 / 21.
  want = 0.01 / (1 - (1 - 0.01 * 21 / 2) ** 2)
  np.testing.assert_allclose(draws.var(), want, rtol=0.04)


def test_batches_spread_the_draws_but_keep_their_mean():
  draws = chains(5)
  np.testing.assert_allclose(draws.mean(), 1.494604, atol=0.01)
  np.testing.assert_allclose(draws.var(), 0.0565, rtol=0.06)


def test_a_schedule_and_the_key_move_on():
  tx = jc.distill.sgld(lambda step: 0.01 * (step > 0), 1, KEY)
  w = {'a': jnp.ones(3, jnp.bfloat16), 'b': jnp.ones(3)}
  grads = jax.tree.map(jnp.zeros_like, w)
  state = tx.init(w)
  still, state = tx.update(grads, state, w)
  assert not any(x.any() for x in jax.tree.leaves(still))
  first, state = tx.update(grads, state, w)
  second, _ = tx.update(grads, state, w)
  assert (first['b'] != second['b']).all() and first['a'].dtype == jnp.bfloat16
  assert (first['a'].astype(jnp.float32) != first['b']).all()


def test_it_trains_a_compressed_network():
  comp = jc.select(jc.KERNELS, jc.linear_quantize(4))
  tx = jc.distill.sgld(1e-4, 8, KEY)
  loss = lambda p, x: jnp.square(x @ p['a']['kernel'] - 1).mean()
  params = {'a': {'kernel': jnp.eye(3)}}
  step = jc.train_step(loss, comp, tx)
  ts = jc.init_train_state(comp, tx, params)
  ts, metrics = step(ts, jnp.ones((8, 3)))
  ts, metrics = step(ts, jnp.ones((8, 3)))
  assert np.isfinite(metrics['loss']) and ts.opt_state.steps == 2


def test_numbers_that_make_no_sense_are_refused():
  with pytest.raises(ValueError, match='examples is 0'):
    jc.distill.sgld(0.1, 0, KEY)
  with pytest.raises(ValueError, match='precision is -1'):
    jc.distill.sgld(0.1, 1, KEY, precision=-1)
  tx = jc.distill.sgld(0.1, 1, KEY)
  with pytest.raises(ValueError, match='needs the params'):
    tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
