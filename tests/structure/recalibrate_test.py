"""Statistics of batch normalization, against those of all data at once."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcompress import recalibrate

X = np.random.default_rng(0).normal(3, 2, (30, 4)).astype('f4')
X[:, 3] = 0  # a channel that was removed by masking


class Model(nn.Module):
  momentum: float = 0.99

  @nn.compact
  def __call__(self, x, train=True):
    norm = nn.BatchNorm(not train, momentum=self.momentum, name='norm')
    return nn.Dense(2)(norm(x))


def updates(model, **options):
  run = lambda v, x: model.apply(v, x, mutable=['batch_stats'], **options)
  return lambda v, x: run(v, x)[1]


@pytest.mark.parametrize('momentum', [0.0, 0.9, 0.999])
def test_one_batch_gives_its_own_statistics(momentum):
  model = Model(momentum)
  variables = model.init(jax.random.key(0), X)
  found = recalibrate(updates(model), variables, [X])
  norm = found['batch_stats']['norm']
  np.testing.assert_allclose(norm['mean'], X.mean(0), rtol=1e-3, atol=1e-6)
  np.testing.assert_allclose(norm['var'], X.var(0), rtol=1e-3, atol=1e-6)
  assert found['params'] == variables['params'] or jax.tree.all(
    jax.tree.map(jnp.array_equal, found['params'], variables['params'])
  )


def test_batches_of_different_sizes_add_up():
  """The variance between the means of the batches counts too."""
  ordered = X[np.argsort(X[:, 0])]
  model = Model()
  variables = model.init(jax.random.key(0), X)
  batches = [ordered[:8], ordered[8:25], ordered[25:]]
  found = recalibrate(updates(model), variables, batches)
  norm = found['batch_stats']['norm']
  np.testing.assert_allclose(norm['mean'], X.mean(0), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(norm['var'], X.var(0), rtol=1e-4, atol=1e-6)


def test_the_old_statistics_do_not_matter():
  model = Model()
  variables = model.init(jax.random.key(0), X)
  bad = jax.tree.map(lambda s: s + 1e4, variables['batch_stats'])
  a = recalibrate(updates(model), variables, [X])
  b = recalibrate(updates(model), {**variables, 'batch_stats': bad}, [X])
  assert jax.tree.all(jax.tree.map(jnp.array_equal, a, b))


def test_a_changed_network_is_normalized_again():
  """Weights in front of the layer were doubled; its output is as before."""
  norm = nn.BatchNorm(False, use_bias=False, use_scale=False)
  model = nn.Sequential([nn.Dense(5), norm])
  v = model.init(jax.random.key(0), X)
  run = lambda v, x: model.apply(v, x, mutable=['batch_stats'])
  before = run(v, X)[0]
  doubled = {**v, 'params': jax.tree.map(lambda w: 2 * w, v['params'])}
  found = recalibrate(lambda v, x: run(v, x)[1], doubled, [X])
  hidden = nn.Dense(5).apply({'params': found['params']['layers_0']}, X)
  frozen = nn.BatchNorm(True, use_bias=False, use_scale=False)
  stats = {'batch_stats': found['batch_stats']['layers_1']}
  after = frozen.apply(stats, hidden)
  np.testing.assert_allclose(after, before, atol=1e-3)


def test_stateful_modules_work():
  class Stateful(nnx.Module):
    def __init__(self, rngs):
      self.norm = nnx.BatchNorm(4, rngs=rngs)

    def __call__(self, x):
      return self.norm(x)

  graphdef, state = nnx.split(Stateful(nnx.Rngs(0)))

  def apply_fn(state, x):
    model = nnx.merge(graphdef, state)
    model(x)
    return nnx.state(model, nnx.BatchStat)

  found = recalibrate(apply_fn, state, [X])
  mean = found['norm']['mean'][...]
  np.testing.assert_allclose(mean, X.mean(0), rtol=1e-4, atol=1e-6)


def test_a_model_in_evaluation_mode_is_refused():
  model = Model()
  variables = model.init(jax.random.key(0), X)
  with pytest.raises(ValueError, match='does not update.*norm/mean.*training'):
    recalibrate(updates(model, train=False), variables, [X])


def test_no_batches_are_refused():
  model = Model()
  variables = model.init(jax.random.key(0), X)
  with pytest.raises(ValueError, match='no batches'):
    recalibrate(updates(model), variables, [])


def test_a_model_without_statistics_is_refused():
  model = nn.Dense(2)
  variables = model.init(jax.random.key(0), X)
  with pytest.raises(ValueError, match='no mean and var.*params/kernel'):
    recalibrate(lambda v, x: {}, variables, [X])
