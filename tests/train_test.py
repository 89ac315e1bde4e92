import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

import jcompress as jc

X = jax.random.normal(jax.random.key(0), (16, 5))
Y = jnp.tanh(X[:, :3])
BATCH = {'x': X, 'y': Y}
PRUNE = jc.select(jc.KERNELS, jc.magnitude_prune(0.5))


def plain_params():
  return {'fc': {'kernel': jnp.ones((5, 3)) * 0.1, 'bias': jnp.zeros(3)}}


def plain_loss(params, batch):
  out = batch['x'] @ params['fc']['kernel'] + params['fc']['bias']
  return ((out - batch['y']) ** 2).mean()


def fit(loss, comp, tx, params, steps=30, **extra):
  """The last train state, all metrics, how often the loss was traced."""
  traces = []

  def counted(*args, **extras):
    traces.append(args)
    return loss(*args, **extras)

  ts = jc.init_train_state(comp, tx, params, **extra)
  step = jc.train_step(counted, comp, tx)
  history = []
  for _ in range(steps):
    ts, metrics = step(ts, BATCH)
    history.append(metrics)
  return ts, history, len(traces)


def test_a_step_is_the_optimizer_step_on_the_view():
  tx = optax.sgd(0.1)
  ts, (metrics,), _ = fit(plain_loss, jc.identity(), tx, plain_params(), 1)
  loss, grads = jax.value_and_grad(plain_loss)(plain_params(), BATCH)
  np.testing.assert_allclose(metrics['loss'], loss)
  np.testing.assert_allclose(
    ts.latent['fc']['kernel'],
    plain_params()['fc']['kernel'] - 0.1 * grads['fc']['kernel'],
    rtol=1e-6,
  )
  assert ts.step == 1


def test_the_penalty_is_added_and_reported():
  comp = jc.leafwise(
    init=lambda w: (w, ()),
    view=lambda w, s: w,
    encode=lambda w, s: jc.encoded.Dense(w),
    penalty=lambda w, s: 2.0 * w.sum(),
  )
  ts, (metrics,), _ = fit(
    lambda p, b: 0.0 * p['w'].sum(), comp, optax.sgd(1.0), {'w': jnp.ones(3)}, 1
  )
  assert metrics['penalty'] == 6
  np.testing.assert_array_equal(ts.latent['w'], [-1, -1, -1])


def test_a_loss_may_return_metrics():
  loss = lambda p, b: (plain_loss(p, b), {'size': p['fc']['bias'].sum()})
  _, history, traces = fit(loss, PRUNE, optax.sgd(0.1), plain_params(), 3)
  assert [set(m) for m in history] == 3 * [{'loss', 'penalty', 'size'}]
  assert traces == 1


def test_one_trace_for_all_steps():
  ts, history, traces = fit(plain_loss, PRUNE, optax.adam(0.01), plain_params())
  assert traces == 1
  assert history[-1]['loss'] < history[0]['loss']
  view = PRUNE.view(ts.latent, ts.state)
  assert (view['fc']['kernel'] == 0).sum() == 8


def test_the_params_given_are_not_donated():
  params = plain_params()
  fit(plain_loss, jc.identity(), optax.sgd(0.1), params, 2)
  assert not params['fc']['kernel'].is_deleted()


def test_batch_statistics_dropout_and_metrics():
  class Net(nn.Module):
    @nn.compact
    def __call__(self, x, training):
      x = nn.BatchNorm(use_running_average=not training, momentum=0.5)(x)
      x = nn.Dropout(0.5, deterministic=not training)(x)
      return nn.Dense(3)(x)

  net = Net()
  params, stats = (lambda v: (v['params'], {'batch_stats': v['batch_stats']}))(
    net.init(jax.random.key(0), X, training=False)
  )

  def loss(params, batch, variables, key):
    out, variables = net.apply(
      {'params': params, **variables},
      batch['x'] + 3,
      training=True,
      rngs={'dropout': key},
      mutable=['batch_stats'],
    )
    noise = jax.random.uniform(key)
    return ((out - batch['y']) ** 2).mean(), {'noise': noise}, variables

  ts, history, traces = fit(
    loss,
    PRUNE,
    optax.adam(0.01),
    params,
    20,
    variables=stats,
    key=jax.random.key(1),
  )
  mean = ts.variables['batch_stats']['BatchNorm_0']['mean']
  np.testing.assert_allclose(mean, X.mean(0) + 3, atol=1e-4)
  assert len({float(m['noise']) for m in history}) == 20
  assert traces == 1


def test_multi_steps_updates_the_compressor_once_a_step_taken():
  seen = jc.leafwise(
    init=lambda w: (w, jnp.zeros_like(w)),
    view=lambda w, s: w,
    encode=lambda w, s: jc.encoded.Dense(w),
    update=lambda w, s, g: (w, s + g),
  )
  tx = optax.MultiSteps(optax.sgd(0.1), every_k_schedule=3)
  loss = lambda p, b: (p['w'] * b).sum()
  ts = jc.init_train_state(seen, tx, {'w': jnp.zeros(2)})
  step = jc.train_step(loss, seen, tx)
  for t in range(6):
    ts, _ = step(ts, jnp.float32(t))
  np.testing.assert_allclose(ts.state['w'], [5, 5])  # means 1 and 4
  np.testing.assert_allclose(ts.latent['w'], [-0.5, -0.5])


def test_bfloat16_compute_keeps_float32_latents():
  seen = []

  def loss(params, batch):
    seen.append(params['fc']['kernel'].dtype)
    return plain_loss(params, batch)

  tx = optax.adam(0.01)
  ts = jc.init_train_state(PRUNE, tx, plain_params())
  step = jc.train_step(loss, PRUNE, tx, compute_dtype=jnp.bfloat16)
  ts, metrics = step(ts, BATCH)
  assert set(seen) == {jnp.dtype(jnp.bfloat16)}
  assert {x.dtype for x in jax.tree.leaves(ts.latent)} == {jnp.dtype('float32')}
  np.testing.assert_allclose(
    metrics['loss'],
    plain_loss(PRUNE.view(*PRUNE.init(plain_params())), BATCH),
    rtol=0.02,
  )


def test_nnx_models_train_and_run():
  model = nnx.Linear(5, 3, rngs=nnx.Rngs(0))
  graph, params = nnx.split(model, nnx.Param)

  def loss(params, batch):
    return ((nnx.merge(graph, params)(batch['x']) - batch['y']) ** 2).mean()

  comp = jc.select('kernel', jc.magnitude_prune(0.5))
  ts, history, _ = fit(loss, comp, optax.adam(0.05), params)
  assert history[-1]['loss'] < history[0]['loss']
  decoded = jc.decode(comp.encode(ts.latent, ts.state))
  small = nnx.merge(graph, decoded)
  assert (small.kernel[...] == 0).sum() == 8
  np.testing.assert_allclose(
    ((small(X) - Y) ** 2).mean(), loss(decoded, BATCH), rtol=1e-6
  )


class Normed(nnx.Module):
  def __init__(self, rngs):
    self.fc = nnx.Linear(5, 3, rngs=rngs)
    self.norm = nnx.BatchNorm(3, momentum=0.5, rngs=rngs)

  def __call__(self, x):
    return self.norm(self.fc(x))


def test_nnx_models_with_running_statistics_train():
  """`merge` copies: else it would hand out the variables that it was given."""
  model = Normed(nnx.Rngs(0))
  graph, params, rest = nnx.split(model, nnx.Param, ...)

  def loss(params, batch, variables):
    model = nnx.merge(graph, params, variables, copy=True)
    value = ((model(batch['x']) - batch['y']) ** 2).mean()
    return value, {}, nnx.split(model, nnx.Param, ...)[2]

  comp = jc.select(jc.KERNELS, jc.magnitude_prune(0.5))
  ts, history, _ = fit(loss, comp, optax.adam(0.05), params, variables=rest)
  assert history[-1]['loss'] < history[0]['loss']
  decoded = jc.decode(comp.encode(ts.latent, ts.state))
  small = nnx.merge(graph, decoded, ts.variables, copy=True)
  assert (small.fc.kernel[...] == 0).sum() == 8
  np.testing.assert_allclose(
    small.norm.mean[...], small.fc(X).mean(0), rtol=0.3, atol=0.3
  )


@pytest.mark.parametrize('axis', ['batch', 'params'])
def test_a_mesh_gives_the_same_as_one_device(axis):
  mesh = jax.make_mesh((8,), ('x',))
  put = lambda x, *spec: jax.device_put(
    x, NamedSharding(mesh, PartitionSpec(*spec))
  )
  kernel = jax.random.normal(jax.random.key(1), (5, 8))
  params = {'fc': {'kernel': kernel, 'bias': jnp.zeros(8)}}
  batch = {'x': X, 'y': jnp.tile(Y, (1, 3))[:, :8]}
  tx, states = optax.adamw(0.01), []
  for sharded in (False, True):
    p, b = params, batch
    if sharded and axis == 'batch':
      b, p = jax.tree.map(lambda x: put(x, 'x'), b), jax.tree.map(put, p)
    elif sharded:
      b = jax.tree.map(put, b)
      p = {
        'fc': {
          'kernel': put(p['fc']['kernel'], None, 'x'),
          'bias': put(p['fc']['bias'], 'x'),
        }
      }
    ts = jc.init_train_state(PRUNE, tx, p)
    step = jc.train_step(plain_loss, PRUNE, tx)
    for _ in range(5):
      ts, _ = step(ts, b)
    states.append(PRUNE.view(ts.latent, ts.state)['fc']['kernel'])
  assert len(states[1].sharding.device_set) == 8
  np.testing.assert_allclose(states[0], states[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  ('loss', 'extra', 'message'),
  [
    (lambda p, b: (1.0, {}, {}), {}, r'loss or \(loss, metrics\)'),
    (
      lambda p, b, variables: (1.0, {}),
      {'variables': {}},
      'metrics, variables',
    ),
    (lambda p, b: jnp.ones(3), {}, 'scalar'),
  ],
)
def test_a_wrong_loss_function_is_refused(loss, extra, message):
  with pytest.raises(ValueError, match=message):
    fit(loss, jc.identity(), optax.sgd(0.1), plain_params(), 1, **extra)


def test_a_loss_function_takes_what_the_train_state_has():
  comp, tx = jc.identity(), optax.sgd(0.1)
  for extra, name in (
    ({'variables': {'mean': jnp.ones(2)}}, 'variables'),
    ({'key': jax.random.key(0)}, 'key'),
  ):
    ts = jc.init_train_state(comp, tx, plain_params(), **extra)
    called = rf'loss_fn\(params, batch, {name}=...\), since'
    with pytest.raises(ValueError, match=called):
      jc.train_step(plain_loss, comp, tx)(ts, BATCH)


def test_a_train_state_is_used_once():
  tx = optax.sgd(0.1)
  ts = jc.init_train_state(PRUNE, tx, plain_params())
  step = jc.train_step(plain_loss, PRUNE, tx)
  after, _ = step(ts, BATCH)
  with pytest.raises(ValueError, match='which took over its memory. Go on wi'):
    step(ts, BATCH)
  step(after, BATCH)


def test_a_train_state_of_another_method_or_optimizer_is_refused():
  tx = optax.adam(0.1)
  share = jc.select(jc.KERNELS, jc.kmeans_share(k=3))
  for comp, other, message in (
    (share, tx, 'not take this latent and state'),
    (jc.identity(), tx, 'not take this latent and state'),
    (PRUNE, optax.sgd(0.1), 'is not the one with which the train state'),
  ):
    ts = jc.init_train_state(PRUNE, tx, plain_params())
    with pytest.raises(ValueError, match=message):
      jc.train_step(plain_loss, comp, other)(ts, BATCH)
