import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.binarize import distortions

PARAMS = {'a': {'kernel': jnp.array([1.0, 0.0, 3.0]), 'bias': jnp.ones(2)}}


def mask(values):
  return {'a': {'kernel': jnp.array(values), 'bias': None}}


def test_view_is_zero_outside_the_mask():
  comp = jc.select(jc.KERNELS, jc.with_mask(mask([True, True, False])))
  view = comp.view(*comp.init(PARAMS))
  np.testing.assert_array_equal(view['a']['kernel'], [1, 0, 0])
  np.testing.assert_array_equal(view['a']['bias'], [1, 1])


def test_encodes_what_the_mask_keeps():
  comp = jc.select(jc.KERNELS, jc.with_mask(mask([True, True, False])))
  leaf = comp.encode(*comp.init(PARAMS))['a']['kernel']
  assert isinstance(leaf, jc.encoded.Sparse)
  np.testing.assert_array_equal(leaf.mask, [True, False, False])


@pytest.mark.parametrize(
  ('bad', 'message'),
  [
    ({'a': {'kernel': jnp.ones(3, bool), 'bias': jnp.ones(2, bool)}}, 'leaves'),
    (mask([True, False]), r'bool\[2\]; it must be bool\[3\]'),
    (mask([1.0, 0.0, 1.0]), 'float32'),
  ],
)
def test_a_mask_that_does_not_fit_is_refused(bad, message):
  with pytest.raises(ValueError, match=message):
    jc.select(jc.KERNELS, jc.with_mask(bad)).init(PARAMS)


WITH_KEEP_ZEROS = {
  'biased_decay': lambda **k: jc.biased_decay(0.01, **k),
  'distort': lambda **k: jc.distort(distortions.added_noise(0.1), **k),
  'dorefa_weights': lambda **k: jc.dorefa_weights(2, **k),
  'dynamic_surgery': lambda **k: jc.dynamic_surgery(0.5, **k),
  'entropy_penalized': lambda **k: jc.entropy_penalized(0.01, 4, **k),
  'few_multiplications': lambda **k: jc.few_multiplications(**k),
  'fixed_point': lambda **k: jc.fixed_point(2, 8, **k),
  'gradual_groups': lambda **k: jc.gradual_groups(0.5, groups='filters', **k),
  'group_lasso': lambda **k: jc.group_lasso(0.1, **k),
  'hard_concrete': lambda **k: jc.hard_concrete(0.01, **k),
  'incremental_quantize': lambda **k: jc.incremental_quantize(every=5, **k),
  'kmeans_share': lambda **k: jc.kmeans_share(k=3, **k),
  'learned_step': lambda **k: jc.learned_step(4, **k),
  'grid_quantize': lambda **k: jc.grid_quantize('e4m3', **k),
  'linear_quantize': lambda **k: jc.linear_quantize(8, **k),
  'loss_aware_levels': lambda **k: jc.loss_aware_levels(3, **k),
  'loss_aware_ternarize': lambda **k: jc.loss_aware_ternarize(**k),
  'magnitude_prune': lambda **k: jc.magnitude_prune(0.5, **k),
  'movement_prune': lambda **k: jc.movement_prune(0.5, **k),
  'nm_prune': lambda **k: jc.nm_prune(**k),
  'rigl': lambda **k: jc.rigl(0.5, end=10, **k),
  'soft_share': lambda **k: jc.soft_share(100, **k),
  'sparse_evolution': lambda **k: jc.sparse_evolution(0.5, every=3, **k),
  'ternary_weight': lambda **k: jc.ternary_weight(**k),
  'trained_ternary': lambda **k: jc.trained_ternary(**k),
  'variational_dropout': lambda **k: jc.variational_dropout(10, **k),
  'with_mask': lambda **k: jc.with_mask({'w': jnp.ones((4, 3), bool)}, **k),
}


@pytest.mark.parametrize('name', WITH_KEEP_ZEROS)
def test_keep_zeros_keeps_an_array_of_zeros(name):
  def views(comp, params):
    latent, state = comp.init(params)
    before, down = jax.vjp(lambda l: comp.view(l, state)['w'], latent)
    (grads,) = down(jnp.ones_like(before))
    latent = jax.tree.map(lambda l, g: l - 0.5 * g, latent, grads)
    return before, comp.view(*comp.update(latent, state, grads))['w']

  for keep_zeros in (True, False):
    comp = WITH_KEEP_ZEROS[name](keep_zeros=keep_zeros)
    one = jax.jit(functools.partial(views, comp))
    before, after = one({'w': jnp.zeros((4, 3))})
    assert not (keep_zeros and before.any())
    assert after.any() == (not keep_zeros)


def test_every_method_that_keeps_zeros_is_in_that_table():
  for name in jc.__all__:
    if not callable(f := getattr(jc, name)):
      continue
    signature = inspect.signature(f)
    makes_compressor = signature.return_annotation is jc.Compressor
    keeps = makes_compressor and 'keep_zeros' in signature.parameters
    assert keeps == (name in WITH_KEEP_ZEROS), name
