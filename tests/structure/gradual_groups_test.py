"""Groups that are pressed down and removed while training goes on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import normal

import jcompress as jc

W = {'k': jnp.array([[3.0, 4, 1, 2]])}  # four filters of one weight


def pull(comp, w, steps, target=0.7):
  """Trains with momentum and decay towards a target."""
  tx = optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1, 0.9))

  def loss(params, _):
    leaves = jax.tree.leaves(params)
    return sum(jnp.sum((x - target) ** 2) for x in leaves)

  step = jc.train_step(loss, comp, tx)
  ts = jc.init_train_state(comp, tx, w)
  views = []
  for _ in range(steps):
    ts, _ = step(ts, 0)
    views.append(jax.device_get(comp.view(ts.latent, ts.state)))
  return views, ts


def zero_positions(kernel):
  return (np.abs(kernel).sum(-1) == 0).ravel()


@pytest.mark.parametrize('kernel', [normal(3, 3, 2, 5), np.ones((3, 3, 2, 5))])
def test_exactly_the_wanted_groups_go_and_never_return(kernel):
  schedule = jc.schedules.cubic_sparsity(0.6, begin=0, end=6)
  comp = jc.gradual_groups(schedule, strength=0.1, lead=3, every=2)
  views, ts = pull(comp, {'k': jnp.float32(kernel)}, 9)
  zeros = np.array([zero_positions(v['k']) for v in views])
  share = [float(schedule(2 * (t // 2))) for t in range(9)]
  assert zeros.sum(1).tolist() == [round(s * 18) for s in share]
  assert (zeros[1:] >= zeros[:-1]).all() and zeros[-1].sum() == 11
  mask = np.asarray(comp.encode(ts.latent, ts.state)['k'].mask)
  assert mask.sum() == 7 * 5


def test_only_groups_that_go_next_are_pressed():
  schedule = optax.linear_schedule(0.0, 1.0, 4)
  comp = jc.gradual_groups(schedule, strength=0.5, groups='filters', lead=1)
  w, state = comp.init(W)
  assert comp.penalty(w, state) == 0
  w, state = comp.update(w, state, w)
  np.testing.assert_allclose(comp.penalty(w, state), 0.5 * (1 + 2 + 2 + 2))
  grad = jax.grad(comp.penalty)(w, state)['k']
  np.testing.assert_allclose(grad, [[0, 0, 0.5, 0]])
  w, state = comp.update(w, state, w)
  assert comp.view(w, state)['k'].tolist() == [[3, 4, 0, 2]]
  grad = jax.grad(comp.penalty)(w, state)['k']
  np.testing.assert_allclose(grad, [[0, 0, 0, 0.5]])


def test_without_lead_groups_are_removed_and_the_rest_is_left_alone():
  comp = jc.gradual_groups(0.5, groups='filters')
  w, state = comp.init(W)
  w, state = comp.update(w, state, w)
  assert comp.view(w, state)['k'].tolist() == [[3, 4, 0, 0]]
  assert not jax.grad(comp.penalty)(w, state)['k'].any()


def test_all_groups_can_go():
  schedule = optax.linear_schedule(0.0, 1.0, 2)
  comp = jc.gradual_groups(schedule, strength=1.0, groups='filters', lead=2)
  w, state = comp.init(W)
  for _ in range(3):
    w, state = comp.update(w, state, w)
    grad = jax.grad(comp.penalty)(w, state)['k']
    shown = comp.view(w, state)['k']
    assert ((grad == 1) == (shown != 0)).all()
  assert not shown.any() and jnp.isfinite(comp.penalty(w, state))


@pytest.mark.parametrize(
  'scope, zeros', [('layer', [2, 1]), ('global', [0, 3])]
)
def test_all_arrays_together_are_ranked_by_their_mean_squares(scope, zeros):
  """The long filters of `b` have the larger norms, of smaller weights."""
  params = {'a': jnp.full((1, 4), 0.5), 'b': jnp.full((100, 3), 0.3)}
  comp = jc.gradual_groups(
    3 / 7 if scope == 'global' else 0.4,
    groups='filters',
    scope=scope,
  )
  w, state = comp.init(params)
  view = comp.view(*comp.update(w, state, w))
  found = [int((np.abs(x).sum(0) == 0).sum()) for x in view.values()]
  assert found == zeros


def test_groups_that_are_zero_count_as_removed():
  w = {'k': jnp.array([[0.0, 4, 1, 0], [0.0, 1, 1, 0]])}
  comp = jc.gradual_groups(0.5, groups='filters')
  w, state = comp.init(w)
  view = comp.view(*comp.update(w, state, w))
  assert (np.abs(view['k']).sum(0) > 0).tolist() == [False, True, True, False]


def test_whole_units_go_with_their_biases():
  f = lambda p, x: jnp.tanh(x @ p['v'] + p['b']) @ p['w']
  params = {'v': normal(3, 6), 'b': normal(6), 'w': normal(6, 2)}
  params = jax.tree.map(jnp.asarray, params)
  x = normal(4, 3)
  graph = jc.channel_groups(f, params, x)
  comp = jc.gradual_groups(0.5, groups=jc.unit_groups(graph))
  views, _ = pull(comp, params, 3)
  dead = np.abs(views[-1]['v']).sum(0) == 0
  assert dead.sum() == 3 and not views[-1]['b'][dead].any()
  small, g = jc.shrink(f, views[-1], {'v:1': ~dead}, x)
  assert small['w'].shape == (3, 2)
  np.testing.assert_allclose(g(small, x), f(views[-1], x), atol=1e-6)


@pytest.mark.parametrize('stride, padding', [(1, 'SAME'), (2, 'VALID')])
def test_zero_positions_are_rows_that_the_product_does_without(stride, padding):
  kernel, x = normal(3, 3, 2, 4), normal(2, 6, 6, 2, seed=2)
  comp = jc.gradual_groups(0.5)
  w, state = comp.init({'k': jnp.asarray(kernel)})
  kernel = comp.view(*comp.update(w, state, w))['k']

  def apply_fn(p, x):
    return jax.lax.conv_general_dilated(
      x,
      p['k'],
      (stride, stride),
      padding,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  (layer,) = jc.layers.layers(apply_fn, {'k': kernel}, x)
  rows = ~zero_positions(np.asarray(kernel).transpose(2, 0, 1, 3))
  patches, matrix = layer.unfold(jnp.asarray(x)), layer.matrix(kernel)
  kept = np.asarray(matrix[0]).any(1)
  assert kept.sum() == rows.sum() == 9
  thin = patches[0][:, kept] @ matrix[0][kept]
  want = apply_fn({'k': kernel}, x)
  np.testing.assert_allclose(thin, want.reshape(thin.shape), atol=1e-5)


@pytest.mark.parametrize(
  'args, options, message',
  [
    ((1.5,), {}, 'sparsity is 1.5'),
    ((0.5,), {'strength': -1}, 'strength is -1'),
    ((0.5,), {'lead': -1}, 'lead is -1'),
    ((0.5,), {'strength': 1}, 'strength is 1, lead is 0.*give all'),
    ((0.5,), {'strength': 1, 'lead': 2}, 'strength is 1, lead is 2'),
    ((lambda t: 0.5,), {'lead': 2}, 'strength is 0.0, lead is 2'),
    ((0.5,), {'every': 0}, 'every is 0'),
    ((0.5,), {'scope': 'all'}, "scope is 'all'"),
    ((0.5,), {'groups': 'taps'}, "groups is 'taps'"),
  ],
)
def test_bad_arguments_are_refused(args, options, message):
  with pytest.raises(ValueError, match=message):
    jc.gradual_groups(*args, **options)
