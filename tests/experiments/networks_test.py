import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from flax import nnx

import jcompress as jc
from jcompress import models
from jcompress.experiments import networks

X = np.ones((6, 4), np.float32) * np.arange(6, dtype=np.float32)[:, None]
BATCH = {'x': X}
KEY = jax.random.key(0)


def inputs(batch):
  return (batch['x'],)


class NnxNet(nnx.Module):
  def __init__(self, rngs):
    self.fc1 = nnx.Linear(4, 5, rngs=rngs)
    self.norm = nnx.BatchNorm(5, momentum=0.5, rngs=rngs)
    self.dropout = nnx.Dropout(0.5, rngs=rngs)
    self.fc2 = nnx.Linear(5, 2, rngs=rngs)

  def __call__(self, x):
    return self.fc2(self.dropout(nnx.relu(self.norm(self.fc1(x)))))


def linen_net():
  return networks.linen(tiny.Net(), inputs)


def nnx_net():
  return networks.nnx_network(NnxNet, inputs)


@pytest.mark.parametrize(
  ('make', 'collection'), [(linen_net, 'batch_stats'), (nnx_net, 'state')]
)
def test_training_drops_units_and_gives_new_statistics(make, collection):
  net = make()
  variables = net.init(KEY, BATCH)
  assert set(variables) == {'params', collection}
  apply = jax.jit(net.apply)
  first, new = apply(variables, BATCH, jax.random.key(1))
  again, _ = apply(variables, BATCH, jax.random.key(1))
  other, _ = apply(variables, BATCH, jax.random.key(2))
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()
  assert set(new) == {collection}
  before = variables[collection]['norm']['mean']
  after = new[collection]['norm']['mean']
  assert jnp.abs(after - before).max() > 0.1
  assert jax.tree.structure(new) == jax.tree.structure(
    {collection: variables[collection]}
  )


@pytest.mark.parametrize('make', [linen_net, nnx_net])
def test_prediction_is_a_function_of_the_variables_alone(make):
  net = make()
  variables = net.init(KEY, BATCH)
  whole = net.predict(variables, BATCH)
  one = net.predict(variables, {'x': X[2:3]})
  # Normalized by running statistics, not by the batch.
  np.testing.assert_allclose(whole[2:3], one, rtol=1e-5)


def test_an_nnx_network_is_the_module_and_trains_through_a_compressor():
  net = nnx_net()
  variables = net.init(KEY, BATCH)
  module = NnxNet(nnx.Rngs(KEY))
  module.eval()
  np.testing.assert_allclose(
    net.predict(variables, BATCH), module(X), rtol=1e-6
  )
  comp, tx = jc.select(jc.KERNELS, jc.binary_weight()), optax.adam(1e-2)

  def loss_fn(params, batch, variables, key):
    outputs, new = net.apply({'params': params, **variables}, batch, key)
    return jnp.square(outputs).mean(), {}, new

  others = {'state': variables['state']}
  ts = jc.init_train_state(
    comp, tx, variables['params'], variables=others, key=KEY
  )
  step = jc.train_step(loss_fn, comp, tx)
  losses = []
  for _ in range(10):
    ts, metrics = step(ts, BATCH)
    losses.append(float(metrics['loss']))
  assert losses[-1] < losses[0]


def test_a_bundled_model_is_described_and_another_is_not():
  lenet = networks.linen(models.LeNet300100(classes=3), inputs)
  assert lenet.model == ('lenet_300_100', {'classes': 3})
  assert linen_net().model is None


def test_a_module_without_a_mode_is_called_without_one():
  net = networks.linen(nn.Dense(3), inputs)
  variables = net.init(KEY, BATCH)
  outputs, new = net.apply(variables, BATCH, KEY)
  np.testing.assert_array_equal(outputs, net.predict(variables, BATCH))
  assert new == {}


def test_a_plain_function():
  net = networks.plain(lambda key: jnp.ones(4), lambda w, x: x @ w, inputs)
  variables = net.init(KEY, BATCH)
  outputs, new = net.apply(variables, BATCH, KEY)
  np.testing.assert_array_equal(outputs, 4 * X[:, 0])
  np.testing.assert_array_equal(net.predict(variables, BATCH), outputs)
  assert new == {} and set(variables) == {'params'}


def test_networks_are_equal_by_their_arrays():
  ones = {'a': np.ones(2), 'b': {'c': np.zeros(3)}}
  assert networks.are_equal(ones, jax.tree.map(np.copy, ones))
  assert not networks.are_equal(ones, {'a': np.ones(2), 'b': {'c': np.ones(3)}})
  assert not networks.are_equal(ones, {'a': np.ones(2)})
