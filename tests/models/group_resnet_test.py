import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rebuilding

from jcompress import models

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype('f4')
SMALL = models.GroupResNet(8, 'p4', (4, 4, 8), 3)


def test_counts():
  """Cohen & Welling: 2.62M, as of a plain one of 32, 64, 128 filters."""
  model = models.build(
    'group_resnet', depth=44, group='p4m', features=[11, 23, 45]
  )
  x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  params = rebuilding.shapes(model, x)['params']
  convs = 27 * 11 + 72 * (14 * 121 + 11 * 23 + 13 * 529 + 23 * 45 + 13 * 2025)
  shortcuts = 8 * (11 * 23 + 23 * 45)
  norms = 2 * 15 * (11 + 23 + 45)
  total = convs + shortcuts + norms + 45 * 10 + 10
  found = sum(a.size for a in jax.tree.leaves(params))
  assert found == total == 2_618_679


@pytest.mark.parametrize('group', ['p4', 'p4m'])
def test_logits_are_those_of_the_turned_image(group):
  model = SMALL.clone(group=group)
  variables = rebuilding.draw(rebuilding.shapes(model, IMAGES))
  run = jax.jit(model.apply)
  logits = run(variables, IMAGES)
  size = np.abs(logits).max()
  turned = run(variables, np.rot90(IMAGES, 1, (1, 2)))
  np.testing.assert_allclose(turned, logits, atol=1e-5 * size)
  moved = np.abs(run(variables, IMAGES[:, :, ::-1]) - logits).max() / size
  assert moved < 1e-5 if group == 'p4m' else moved > 1e-3
  assert np.abs(logits[0] - logits[1]).max() > 1e-3 * size


def test_training_normalizes_by_the_batch():
  model = SMALL.clone(dtype=jnp.bfloat16)
  forms = jax.eval_shape(model.init, jax.random.key(0), IMAGES)
  logits, new = jax.eval_shape(
    lambda v: model.apply(v, IMAGES, True, mutable=['batch_stats']), forms
  )
  assert logits.shape == (2, 3) and logits.dtype == jnp.bfloat16
  assert new['batch_stats']['shortcut_norm4']['mean'].shape == (4,)


def test_what_cannot_be_built_or_run():
  with pytest.raises(ValueError, match='depth is 9'):
    rebuilding.shapes(SMALL.clone(depth=9), IMAGES)
  with pytest.raises(ValueError, match='6x6; .* multiple of 4'):
    rebuilding.shapes(SMALL, IMAGES[:, :6, :6])
  with pytest.raises(ValueError, match="group is 'p6'"):
    rebuilding.shapes(SMALL.clone(group='p6'), IMAGES)
