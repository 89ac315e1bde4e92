import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

KEYS = jax.random.split(jax.random.key(0), 4)
PARAMS = {
  'fc0': {
    'kernel': jax.random.normal(KEYS[0], (5, 4)),
    'bias': jax.random.normal(KEYS[1], (4,)),
  },
  'fc1': {'kernel': jax.random.normal(KEYS[2], (4, 2))},
}
BATCH = jax.random.normal(KEYS[3], (7, 5))


def loss(params, batch):
  hidden = jnp.tanh(batch @ params['fc0']['kernel'] + params['fc0']['bias'])
  return jnp.mean((hidden @ params['fc1']['kernel'] - 1) ** 2)


def kernels(params):
  return [params['fc0']['kernel'], params['fc1']['kernel']]


def flat(params):
  return np.concatenate([np.ravel(k) for k in kernels(params)])


def test_snip_is_the_derivative_by_a_gate_of_each_weight():
  gates = jax.tree.map(jnp.ones_like, PARAMS)
  gated = lambda g: loss(jax.tree.map(jnp.multiply, PARAMS, g), BATCH)
  want = jax.tree.map(jnp.abs, jax.grad(gated)(gates))
  total = sum(x.sum() for x in jax.tree.leaves(want))
  got = jc.snip_score(loss, PARAMS, BATCH)
  for a, b in zip(*map(jax.tree.leaves, (got, want)), strict=True):
    np.testing.assert_allclose(a, b / total, rtol=1e-5, atol=1e-7)


def test_grasp_is_the_change_of_the_squared_gradient_norm():
  def squared_norm(params):
    grads = jax.grad(loss)(params, BATCH)
    return sum(jnp.sum(g**2) for g in jax.tree.leaves(grads))

  slope = jax.grad(squared_norm)(PARAMS)
  got = jc.grasp_score(loss, PARAMS, BATCH)
  want = jax.tree.map(lambda w, s: -w * s / 2, PARAMS, slope)
  for a, b in zip(*map(jax.tree.leaves, (got, want)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_grasp_of_the_kernels_is_the_block_of_the_kernels():
  chosen, rest = jc.tree.split(jc.KERNELS, PARAMS)
  mask = jc.grasp_mask(loss, PARAMS, BATCH, 0.5)
  inner = lambda p, batch: loss(jc.tree.join(p, rest), batch)
  scores = flat(jc.grasp_score(inner, chosen, BATCH))
  kept = flat(mask)
  assert kept.sum() == 14 and mask['fc0']['bias'] is None
  assert scores[kept].max() <= scores[~kept].min()


@pytest.mark.parametrize('sparsity', [0.0, 0.3, 0.8, 0.9])
def test_snip_keeps_exactly_the_best_of_all_layers(sparsity):
  kept = flat(jc.snip_mask(loss, PARAMS, BATCH, sparsity))
  scores = flat(jc.snip_score(loss, PARAMS, BATCH))
  best = np.argsort(-scores, kind='stable')[: round(28 * (1 - sparsity))]
  np.testing.assert_array_equal(np.flatnonzero(kept), np.sort(best))


def ranked(scores, sparsity, **arguments):
  """A mask for weights whose SNIP scores are in proportion to these."""
  linear = lambda p, _: sum(
    jnp.sum(jnp.asarray(s, jnp.float32) * p[k]) for k, s in scores.items()
  )
  ones = {k: jnp.ones(len(s)) for k, s in scores.items()}
  mask = jc.snip_mask(linear, ones, None, sparsity, pattern='.', **arguments)
  return {k: m.astype(int).tolist() for k, m in mask.items()}


def test_of_equal_scores_the_first_are_kept():
  got = ranked({'a': [1, 2, 1], 'b': [1, 1, 3]}, 0.5)
  assert got == {'a': [1, 1, 0], 'b': [0, 0, 1]}


def test_each_layer_keeps_its_least_density():
  scores = {'a': [5, 6, 7, 8], 'b': [1, 3, 2, 1]}
  assert ranked(scores, 0.5, min_density=0.25) == {
    'a': [0, 1, 1, 1],
    'b': [0, 1, 0, 0],
  }


def test_a_layer_of_which_nothing_is_left_is_an_error():
  with pytest.raises(ValueError, match='leaves nothing of b: .*min_density'):
    ranked({'a': [5, 6, 7, 8], 'b': [1, 3, 2, 1]}, 0.5)
  with pytest.raises(ValueError, match='leaves 4 of 8 .* 6 that a min_density'):
    ranked({'a': [5, 6, 7, 8], 'b': [1, 3, 2, 1]}, 0.5, min_density=0.6)


def test_weights_that_are_zero_come_last_and_are_not_kept():
  params = {'a': {'kernel': jnp.array([0.0, 1.0, 0.0, 0.0, 2.0])}}
  flat_loss = lambda p, _: 0.0 * jnp.sum(p['a']['kernel'])
  for function in (jc.snip_mask, jc.grasp_mask):
    mask = function(flat_loss, params, None, 0.4)
    np.testing.assert_array_equal(mask['a']['kernel'], [0, 1, 0, 0, 1])
    mask = function(flat_loss, params, None, 0.8)
    np.testing.assert_array_equal(mask['a']['kernel'], [0, 1, 0, 0, 0])


def test_the_mask_is_one_to_train_under():
  mask = jc.snip_mask(loss, PARAMS, BATCH, 0.7, min_density=0.1)
  comp = jc.select(jc.KERNELS, jc.with_mask(mask))
  view = comp.view(*comp.init(PARAMS))
  assert sum(int((k != 0).sum()) for k in kernels(view)) == 8
  np.testing.assert_array_equal(view['fc0']['bias'], PARAMS['fc0']['bias'])


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'sparsity': 90}, 'sparsity is 90'),
    ({'sparsity': 0.5, 'min_density': -1}, 'min_density is -1'),
    ({'sparsity': 0.5, 'pattern': 'conv.*'}, 'matches no leaf'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  for function in (jc.snip_mask, jc.grasp_mask):
    with pytest.raises(ValueError, match=message):
      function(loss, PARAMS, BATCH, **arguments)


def test_scores_that_are_not_finite_are_refused():
  with pytest.raises(ValueError, match='fc0/kernel, fc1/kernel at scoring'):
    jc.snip_mask(loss, PARAMS, BATCH * jnp.inf, 0.5)


def test_an_array_of_zeros_may_be_kept_and_is_not_lost_unsaid():
  params = {'a/kernel': jnp.ones((4, 2)), 'b/kernel': jnp.zeros((2, 3))}
  loss = lambda p, x: jnp.sum((x @ p['a/kernel'] @ p['b/kernel'] - 1) ** 2)
  x = jnp.ones((2, 4))
  with pytest.raises(ValueError, match='leaves nothing of .*b/kernel'):
    jc.snip_mask(loss, params, x, 0.5)
  mask = jc.snip_mask(loss, params, x, 0.5, min_density=0.5)
  assert int(mask['b/kernel'].sum()) == 3
