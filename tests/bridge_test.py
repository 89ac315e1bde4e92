import functools

import compressors
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from jax.experimental import checkify

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


def stock(tx, steps=3, link=None):
  """The params after some steps of an optax loop outside jit."""
  tx = optax.chain(tx, link) if link else tx
  params = {'w': jnp.array([0.5, -1.0, 2.0, 0.25])}
  opt_state = tx.init(params)
  for _ in range(steps):
    grads = jax.grad(loss)(params, 0.3)
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
  return params


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_what_comes_after_as_optax_is_noticed(dtype):
  mask = jc.with_mask({'w': jnp.array([False, True, True, False])})
  tx = jc.as_optax(mask, optax.sgd(0.1))
  assert np.count_nonzero(stock(tx)['w']) == 2
  with pytest.raises(ValueError, match='must be the last link of a chain'):
    stock(tx, link=optax.scale(-0.1))
  # Params that are half as precise are rounded twice.
  params = {'w': jnp.array([0.5, -1.0, 2.0, 0.25], dtype)}
  tx = jc.as_optax(jc.binary_connect(), optax.sgd(0.05))
  opt_state = tx.init(params)
  for _ in range(4):
    updates, opt_state = tx.update(params, opt_state, params)
    params = optax.apply_updates(params, updates)


def test_under_checkify_it_is_noticed_inside_jit():
  good = jc.as_optax(jc.magnitude_prune(0.5), optax.sgd(0.1))
  for tx, wrong in ((good, False), (optax.chain(good, optax.scale(0.1)), True)):
    params = {'w': jnp.array([0.5, -1.0, 2.0, 0.25])}
    opt_state = tx.init(params)

    @jax.jit
    def step(params, opt_state, tx=tx):
      grads = jax.grad(loss)(params, 0.3)
      updates, opt_state = tx.update(grads, opt_state, params)
      return optax.apply_updates(params, updates), opt_state

    for _ in range(3):
      error, (params, opt_state) = checkify.checkify(step)(params, opt_state)
    assert bool(error.get()) == wrong


def test_params_and_state_may_be_donated_together():
  tx = jc.as_optax(
    jc.select(jc.KERNELS, jc.magnitude_prune(0.5, rewind=True)),
    jc.shift_adamax(),
  )

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def step(params, opt_state):
    grads = jax.grad(loss)(params, 0.3)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state

  params = compressors.params()
  opt_state = tx.init(params)
  for _ in range(2):
    params, opt_state = step(params, opt_state)

  ts = TrainState.create(apply_fn=None, params=compressors.params(), tx=tx)
  step = lambda ts: ts.apply_gradients(grads=jax.grad(loss)(ts.params, 0.3))
  ts = jax.jit(step, donate_argnums=0)(ts)
  assert np.count_nonzero(ts.params['fc0']['kernel']) == 24


def test_nnx_optimizers_may_be_donated():
  model = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
  tx = jc.as_optax(
    jc.select('kernel', jc.magnitude_prune(0.5)), optax.adam(0.1)
  )
  optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

  @functools.partial(nnx.jit, donate_argnums=(0, 1))
  def step(model, optimizer):
    grads = nnx.grad(lambda m: jnp.sum(m(jnp.ones((2, 4))) ** 2))(model)
    optimizer.update(model, grads)

  for _ in range(2):
    step(model, optimizer)
  assert np.count_nonzero(model.kernel[...]) == 6


def test_leaves_that_are_no_floats_get_no_update():
  params = {
    'w': jnp.array([1.0, -2.0]),
    'count': jnp.array([3, 4]),
    'flag': jnp.array(True),
  }
  tx = jc.as_optax(jc.magnitude_prune(0.5), optax.adam(0.1))
  opt_state = tx.init(params)
  loss = lambda p: jnp.sum(p['w'] ** 2)
  for allow in (True, False):
    grads = jax.grad(loss, allow_int=True)(params)
    if not allow:
      grads = {'w': grads['w'], 'count': None, 'flag': None}
    updates, opt_state = tx.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
  assert params['count'].tolist() == [3, 4] and params['flag'].dtype == bool
  assert params['w'][0] == 0
  keyed = {'w': params['w'], 'key': jax.random.key(0)}
  updates, _ = tx.update(keyed, tx.init(keyed), keyed)
  assert updates['key'] is None
