"""Penalties and proximal steps of groups, known and by their optimality."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import conv, normal, weights

import jcompress as jc
from jcompress.encoded import Sparse

KERNEL = {'k': jnp.ones((2, 3, 4, 5))}


def penalty(w, *args, **options):
  comp = jc.group_lasso(*args, **options)
  return comp.penalty(*comp.init(w))


def proximal(strength, rate, **options):
  return jc.group_lasso(
    strength, size_weighted=False, proximal=True, learning_rate=rate, **options
  )


@pytest.mark.parametrize(
  'groups, norms, roots',
  [
    ('filters', 5 * np.sqrt(24), 5 * 24),
    ('channels', 4 * np.sqrt(30), 4 * 30),
    ('positions', 24 * np.sqrt(5), 24 * 5),
    ('layer', np.sqrt(120), 120),
  ],
)
def test_penalties_of_a_kernel_of_ones(groups, norms, roots):
  plain = penalty(KERNEL, 0.5, groups=groups, size_weighted=False)
  np.testing.assert_allclose(plain, 0.5 * norms, rtol=1e-6)
  weighted = penalty(KERNEL, 0.5, groups=groups)
  np.testing.assert_allclose(weighted, 0.5 * roots, rtol=1e-6)


def test_several_groupings_and_the_lasso_add_up():
  options = dict(size_weighted=False, l1=0.5)
  got = penalty(KERNEL, (2, 3), groups=('filters', 'channels'), **options)
  want = 2 * 5 * np.sqrt(24) + 3 * 4 * np.sqrt(30) + 0.5 * 120
  np.testing.assert_allclose(got, want, rtol=1e-6)
  one = penalty(KERNEL, 2, groups=('filters', 'channels'), **options)
  np.testing.assert_allclose(one, want - 4 * np.sqrt(30), rtol=1e-6)


def test_the_gradient_is_the_unit_vector_of_each_group():
  w = {'k': jnp.array([[3.0, 0, 1], [4, 0, 0]])}
  comp = jc.group_lasso(0.1, size_weighted=False)
  w, state = comp.init(w)
  grad = jax.grad(comp.penalty)(w, state)['k']
  np.testing.assert_allclose(grad, [[0.06, 0, 0.1], [0.08, 0, 0]], rtol=1e-6)


def test_the_scales_of_normalizations_are_groups_of_one():
  params = {'bn': {'scale': jnp.array([2.0, -3]), 'bias': jnp.ones(2)}}
  slimming = jc.select('.*/scale', jc.group_lasso(1e-2))
  np.testing.assert_allclose(
    slimming.penalty(*slimming.init(params)), 0.05, rtol=1e-6
  )


def test_the_proximal_step_of_known_numbers():
  w = {'k': jnp.array([[3.0, 0.3], [4, 0.4]])}
  comp = proximal(2.0, 0.5)
  w, state = comp.init(w)
  w, state = comp.update(w, state, w)
  np.testing.assert_allclose(w['k'], [[2.4, 0], [3.2, 0]], rtol=1e-6)
  assert not comp.penalty(w, state)
  assert not np.asarray(comp.encode(w, state)['k'].mask)[:, 1].any()


def test_the_step_follows_the_schedule_of_the_learning_rate():
  schedule = optax.piecewise_constant_schedule(0.5, {1: 0.2})
  comp = proximal(1.0, schedule)
  w, state = comp.init({'k': jnp.array([[3.0], [4.0]])})
  update = jax.jit(comp.update)
  for norm in (4.5, 4.4):
    w, state = update(w, state, w)
    np.testing.assert_allclose(jnp.linalg.norm(w['k']), norm, rtol=1e-6)


def test_nested_groups_from_small_to_large_are_exact():
  rng = np.random.default_rng(0)
  w = rng.normal(size=(2, 2, 3))
  strengths = (0.3, 0.5, 0.8)

  def objective(z):
    total = (((z - w) ** 2) / 2 + 0.1 * abs(z)).sum((-1, -2, -3))
    norms = lambda axes: np.sqrt((z**2).sum(axes, keepdims=True))
    for s, axes in zip(strengths, [(-1,), (-1, -3), (-1, -2, -3)], strict=True):
      total = total + s * norms(axes).sum((-1, -2, -3))
    return total

  comp = proximal(
    strengths, 1.0, groups=('positions', 'channels', 'layer'), l1=0.1
  )
  z, state = comp.init({'k': jnp.float32(w)})
  z = np.asarray(jax.jit(comp.update)(z, state, z)[0]['k'], np.float64)
  assert 0 < np.count_nonzero(z) < z.size
  for size in (1, 0.1, 1e-2, 1e-3):
    away = size * rng.normal(size=(500, *w.shape))
    away *= rng.random((500, *w.shape)) < 0.3
    assert (objective(z + away) >= objective(z) - 1e-6).all()


def descend(comp, loss, w, rate, steps, momentum=0.0):
  tx = optax.sgd(rate, momentum)
  step = jc.train_step(lambda p, b: loss(p), comp, tx)
  ts = jc.init_train_state(comp, tx, w)
  for _ in range(steps):
    ts, _ = step(ts, 0)
  return comp.view(ts.latent, ts.state), ts


@pytest.mark.parametrize('momentum', [0.0, 0.8])
def test_proximal_gradient_solves_the_group_lasso(momentum):
  """Its optimality conditions, group by group."""
  rng = np.random.default_rng(1)
  x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
  y[:, 0] *= 5
  loss = lambda p: jnp.sum((x @ p['k'] - y) ** 2) / 60
  comp = proximal(0.4, 0.1 / (1 - momentum))
  start = {'k': jnp.ones((4, 3))}
  w, _ = descend(comp, loss, start, 0.1, 200, momentum)
  grad, w = np.asarray(jax.grad(loss)(w)['k']), np.asarray(w['k'])
  norms = np.linalg.norm(w, axis=0)
  assert norms[0] > 0 and (norms[1:] == 0).all()
  np.testing.assert_allclose(grad[:, 0], -0.4 * w[:, 0] / norms[0], atol=1e-4)
  assert (np.linalg.norm(grad[:, 1:], axis=0) <= 0.4).all()


@pytest.mark.parametrize(
  'options, zeros',
  [
    ({}, 0),
    ({'zero_weights_below': 2e-2}, 4),
    ({'zero_groups_below': 2e-2}, 4),
  ],
)
def test_only_a_threshold_makes_the_penalty_sparse(options, zeros):
  target = jnp.array([[1.0, 0.03], [1, 0], [1, 0], [1, 0]])
  loss = lambda p: jnp.sum((p['k'] - target) ** 2) / 2
  comp = jc.group_lasso(0.2, size_weighted=False, **options)
  w, ts = descend(comp, loss, {'k': jnp.ones((4, 2))}, 0.05, 80)
  assert int(jnp.sum(w['k'] == 0)) == zeros
  encoded = comp.encode(ts.latent, ts.state)['k']
  assert isinstance(encoded, Sparse)
  assert int(encoded.mask.sum()) == 8 - zeros


def test_a_group_threshold_spares_small_weights_of_large_groups():
  w = {'k': jnp.array([[1e-5, 1e-5], [1.0, 0.01]])}
  for options, want in (
    ({'zero_weights_below': 0.02}, [[0, 0], [1, 0]]),
    ({'zero_groups_below': 0.02}, [[1e-5, 0], [1, 0]]),
  ):
    comp = jc.group_lasso(0.0, **options)
    latent, state = comp.init(w)
    np.testing.assert_allclose(comp.update(latent, state, w)[0]['k'], want)


def mlp(p, x):
  return jnp.tanh(x @ p['v'] + p['b']) @ p['w'] + p['c']


def test_neurons_die_in_training_and_are_removed():
  """From scratch, with biases that start at zero."""
  x = normal(64, 3)
  y = jnp.tanh(x @ normal(3, 2, seed=3)) @ normal(2, 2, seed=4) + 0.5
  params = jax.tree.map(jnp.asarray, weights(v=(3, 8), w=(8, 2)))
  params |= {'b': jnp.zeros(8), 'c': jnp.zeros(2)}
  graph = jc.channel_groups(mlp, params, x)
  comp = jc.group_lasso(
    0.05,
    groups=jc.unit_groups(graph),
    proximal=True,
    learning_rate=optax.constant_schedule(0.1),
  )
  loss = lambda p: jnp.mean((mlp(p, x) - y) ** 2)
  w, _ = descend(comp, loss, params, 0.1, 200)
  alive = np.asarray(jnp.abs(w['v']).sum(0) + jnp.abs(w['b']) > 0)
  assert 0 < alive.sum() < 8 and w['b'].any() and w['c'].all()
  small, f = jc.shrink(mlp, w, {'v:1': alive}, x)
  assert small['v'].shape == (3, alive.sum())
  np.testing.assert_allclose(f(small, x), mlp(w, x), atol=1e-6)


def test_a_zero_filter_with_a_shift_is_not_a_zero_unit():
  """So that removing what is zero never removes a constant."""

  def f(p, x):
    h = conv(x, p['k'])
    h = (h - h.mean((0, 1, 2))) * p['scale'] + p['shift']
    return jax.nn.relu(h).mean((1, 2)) @ p['w']

  params = weights(k=(3, 3, 2, 3), scale=(3,), shift=(3,), w=(3, 2))
  params = {n: jnp.asarray(x) for n, x in params.items()}
  params['k'] = params['k'].at[..., :2].set(1e-3)
  params['scale'] = params['scale'].at[:2].set(1e-3)
  params['shift'] = params['shift'].at[1].set(1e-3)
  graph = jc.channel_groups(f, params, normal(2, 5, 5, 2))
  comp = proximal(1.0, 0.1, groups=jc.unit_groups(graph))
  w, state = comp.init(params)
  w, _ = comp.update(w, state, w)
  norms = np.abs(np.asarray(w['k'])).sum((0, 1, 2))
  assert norms[0] > 0 and norms[1] == 0 and norms[2] > 0
  assert w['shift'][0] and not w['shift'][1] and not w['scale'][1]


def test_depth_removes_a_layer_behind_a_shortcut():
  f = lambda p, x: x + jnp.tanh(x @ p['k'])
  x = normal(8, 4)
  comp = jc.group_lasso(0.3, groups='layer', proximal=True, learning_rate=0.1)
  loss = lambda p: jnp.mean((f(p, x) - x) ** 2)
  w, _ = descend(comp, loss, {'k': jnp.float32(normal(4, 4))}, 0.1, 60)
  assert not w['k'].any()
  np.testing.assert_array_equal(f(w, x), x)


@pytest.mark.parametrize(
  'args, options, message',
  [
    ((-0.1,), {}, 'strength is -0.1'),
    ((np.inf,), {}, 'strength is inf'),
    (((1, 2, 3),), {'groups': ('filters', 'layer')}, '3 strengths for 2'),
    ((1,), {'groups': ()}, '0 strengths for 0 groupings'),
    ((1,), {'groups': 'rows'}, "groups is 'rows'"),
    ((1,), {'l1': -1}, 'l1 is -1'),
    ((1,), {'proximal': True}, 'needs the learning rate'),
    ((1,), {'learning_rate': 0.1}, 'needs the learning rate'),
    ((1,), {'proximal': True, 'learning_rate': -1}, 'learning_rate is -1'),
    ((1,), {'zero_weights_below': -1}, 'zero_weights_below is -1'),
    ((1,), {'zero_groups_below': np.nan}, 'zero_groups_below is nan'),
  ],
)
def test_bad_arguments_are_refused(args, options, message):
  with pytest.raises(ValueError, match=message):
    jc.group_lasso(*args, **options)


def test_leaves_without_such_groups_are_refused_at_init():
  comp = jc.group_lasso(1, groups='channels')
  with pytest.raises(ValueError, match='bias of shape .3. has no groups'):
    comp.init({'bias': jnp.ones(3)})
