import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

KEY = jax.random.key(0)
X, Y = jax.random.normal(KEY, (12, 4)), jnp.arange(12) % 3


def init(width, seed):
  keys = jax.random.split(jax.random.key(seed))
  return {
    'fc1': {'kernel': jax.random.normal(keys[0], (4, width))},
    'fc2': {'kernel': jax.random.normal(keys[1], (width, 3))},
  }


def apply(params, x):
  return nn.relu(x @ params['fc1']['kernel']) @ params['fc2']['kernel']


TEACHER = init(16, 1)


@pytest.mark.parametrize(
  'compressor',
  [jc.identity(), jc.trained_ternary(), jc.truncated_svd(2)],
  ids=['identity', 'ternary', 'svd'],
)
def test_a_compressed_student_learns_in_one_trace(compressor):
  traces = []

  def student(params, x):
    traces.append(1)
    return apply(params, x)

  tx = optax.adam(3e-2)
  comp = jc.select(jc.KERNELS, compressor)
  step = jc.train_step(jc.distill.loss(student, apply), comp, tx)
  ts = jc.init_train_state(comp, tx, init(6, 2))
  teacher = jax.tree.map(jnp.copy, TEACHER)
  losses = []
  for _ in range(30):
    ts, metrics = step(ts, (teacher, X, Y))
    losses.append(float(metrics['loss']))
  assert losses[-1] < 0.7 * losses[0] and 'hard' in metrics
  assert len(traces) == 1
  jax.tree.map(np.testing.assert_array_equal, teacher, TEACHER)


def test_the_teacher_is_an_argument_and_no_constant():
  loss_fn = jc.distill.loss(apply, apply)
  closed = jax.make_jaxpr(loss_fn)(init(6, 2), (TEACHER, X, Y))
  assert sum(np.size(c) for c in closed.consts) == 0


def test_the_value_is_that_of_its_parts_and_the_teacher_has_no_gradient():
  pairs = {'fc1/kernel': 'fc1/kernel'}
  loss_fn = jc.distill.loss(
    apply, apply, temperature=2.0, weight=0.75, pairs=pairs, strength=10.0
  )
  params = init(6, 2)
  value, metrics = loss_fn(params, (TEACHER, X, Y))
  z, v = apply(params, X), apply(TEACHER, X)
  hard = optax.softmax_cross_entropy_with_integer_labels(z, Y).mean()
  np.testing.assert_allclose(metrics['hard'], hard, rtol=1e-6)
  own, hints = ((X @ p['fc1']['kernel'])[:, None] for p in (params, TEACHER))
  want = 0.25 * hard + 0.75 * jc.distill.soft_targets(z, v, 2.0)
  want += 10 * jc.distill.attention(own[:, 0], hints[:, 0])
  np.testing.assert_allclose(value, want, rtol=1e-5)
  f = lambda teacher: loss_fn(params, (teacher, X, Y))[0]
  assert not any(g.any() for g in jax.tree.leaves(jax.grad(f)(TEACHER)))


def test_another_loss_of_logits_and_labels():
  soft = lambda z, v, labels: jc.distill.decoupled(z, v, labels)
  loss_fn = jc.distill.loss(apply, apply, soft, weight=1.0)
  params = init(6, 2)
  got, _ = loss_fn(params, (TEACHER, X, Y))
  want = jc.distill.decoupled(apply(params, X), apply(TEACHER, X), Y)
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_models_with_statistics_and_dropout():
  class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
      x = nn.BatchNorm(not train)(nn.Dense(8)(x))
      x = nn.Dropout(0.5, deterministic=not train)(x)
      return nn.Dense(3)(x)

  def student(params, x, variables, key):
    logits, new = Net().apply(
      {'params': params, **variables},
      x,
      train=True,
      mutable=['batch_stats'],
      rngs={'dropout': key},
    )
    return logits, dict(new)

  variables = jax.jit(Net().init)(KEY, X)
  params = variables['params']
  others = {'batch_stats': variables['batch_stats']}
  loss_fn = jc.distill.loss(student, lambda v, x: Net().apply(v, x))
  comp, tx = jc.identity(), optax.sgd(0.1)
  ts = jc.init_train_state(comp, tx, params, variables=others, key=KEY)
  new, _ = jc.train_step(loss_fn, comp, tx)(ts, (variables, X, Y))
  mean = lambda v: v['batch_stats']['BatchNorm_0']['mean']
  assert (mean(new.variables) != mean(others)).any()


def test_logits_are_float32_whatever_the_student_computes_in():
  seen = []

  def soft(z, v, labels):
    seen.append((z.dtype, v.dtype))
    return jc.distill.soft_targets(z, v)

  loss_fn = jc.distill.loss(apply, apply, soft)
  comp, tx = jc.identity(), optax.sgd(0.1)
  step = jc.train_step(loss_fn, comp, tx, compute_dtype=jnp.bfloat16)
  ts = jc.init_train_state(comp, tx, init(6, 2))
  step(ts, (TEACHER, X.astype(jnp.bfloat16), Y))
  assert seen == [(jnp.float32, jnp.float32)]


@pytest.mark.parametrize(
  'options, message',
  [
    ({'weight': 1.5}, 'weight is 1.5'),
    ({'strength': 1.0}, 'There are 0 pairs'),
    ({'pairs': {'a': 'a'}}, 'strength is 0'),
  ],
)
def test_weights_that_make_no_sense_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    jc.distill.loss(apply, apply, **options)
