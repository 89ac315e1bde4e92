import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rebuilding

from jcompress import channel_groups, flops, models, remove_channels, shrink
from jcompress.models.compact_vgg import COPIES

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype('f4')
WIDE = dict(maps=(32, 32, 32))
SMALL = dict(maps=(8, 8, 16, 8, 8, 16))
# Numbers of the params and multiply-accumulates, of images of 28x28x1.
COST = {
  'plain': (72_666, 7_338_880),
  'negation': (36_882, 3_669_760),
  'crelu': (36_658, 3_669_760),
  'mba': (36_882, 3_669_760),
  'dcnn': (32_906, 7_338_880),
  'cyclic': (18_174, 7_338_400),
  'p4': (18_174, 7_338_400),
  'p4m': (9_092, 7_338_320),
  'fire': (8_612, 841_088),
  'factorized': (56_954, 5_532_544),
  'low_rank': (29_098, 2_823_040),
}


@pytest.mark.parametrize('kind', COPIES)
def test_what_a_kind_costs(kind):
  x = jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32)
  model = models.build('compact_vgg', kind=kind)
  variables = rebuilding.shapes(model, x)
  params = sum(a.size for a in jax.tree.leaves(variables['params']))
  assert (params, flops(model.apply, variables, x).macs) == COST[kind]


def test_a_plain_network_is_the_sum_of_its_layers():
  wide = 1, 16, 16, 32, 32, 64, 64
  convs = sum(9 * i * o for i, o in zip(wide, wide[1:], strict=False))
  assert COST['plain'][0] == convs + 2 * sum(wide[1:]) + 64 * 10 + 10
  fewer = convs - 9 * 16
  p4 = 9 * 4 + fewer // 4 + 2 * sum(wide[1:]) // 4 + 16 * 10 + 10
  assert COST['p4'][0] == p4


@pytest.mark.parametrize('kind', ['cyclic', 'p4', 'p4m'])
def test_logits_are_those_of_the_turned_image(kind):
  model = models.CompactVGG(kind, **WIDE)
  variables = rebuilding.draw(rebuilding.shapes(model, IMAGES))
  run = jax.jit(model.apply)
  logits = run(variables, IMAGES)
  turned = run(variables, np.rot90(IMAGES, 1, (1, 2)))
  size = np.abs(logits).max()
  np.testing.assert_allclose(turned, logits, atol=1e-5 * size)
  mirrored = run(variables, IMAGES[:, :, ::-1])
  moved = np.abs(mirrored - logits).max() / size
  assert moved < 1e-5 if kind == 'p4m' else moved > 0.01


def test_the_plain_logits_are_not():
  model = models.CompactVGG(**WIDE)
  variables = rebuilding.draw(rebuilding.shapes(model, IMAGES))
  logits = model.apply(variables, IMAGES)
  turned = model.apply(variables, np.rot90(IMAGES, 1, (1, 2)))
  assert np.abs(turned - logits).max() > 0.01 * np.abs(logits).max()


def test_cyclic_is_p4():
  """The same numbers, ordered alike, in other arithmetic."""
  p4, cyclic = (models.CompactVGG(kind, **WIDE) for kind in ('p4', 'cyclic'))
  variables = rebuilding.draw(rebuilding.shapes(p4, IMAGES))
  logits = p4.apply(variables, IMAGES)
  size = np.abs(logits).max()
  np.testing.assert_allclose(
    cyclic.apply(variables, IMAGES), logits, atol=1e-5 * size
  )


@pytest.mark.parametrize('kind', ['plain', 'crelu', 'negation', 'fire'])
def test_half_of_it_is_rebuilt_from_its_widths(kind):
  model = models.CompactVGG(kind, **SMALL)
  _, small = rebuilding.remove_half(model, IMAGES)
  n_in = small['params']['conv3']
  if kind in ('crelu', 'negation'):  # both halves of a filter are gone
    assert n_in['kernel'].shape == (3, 3, 4, 4)


@pytest.mark.parametrize('kind', ['mba', 'dcnn', 'cyclic', 'p4'])
def test_all_copies_of_a_filter_go_together(kind):
  model = models.CompactVGG(kind, **SMALL)
  variables = rebuilding.draw(rebuilding.shapes(model, IMAGES))
  graph = channel_groups(model.apply, variables, IMAGES)
  (name,) = (
    name
    for name, group in graph.groups.items()
    if ('params/conv3/kernel', 3) in group.places
  )
  group = graph.groups[name]
  copies = COPIES[kind]
  assert group.size == 16 // copies
  assert group.places['params/conv4/kernel', 2] == copies
  keep = {name: range(1, group.size)}
  small, _ = shrink(model.apply, variables, keep, IMAGES)
  rebuilt = model.clone(widths={'conv3': group.size - 1})
  form = lambda tree: jax.tree.map(np.shape, tree)
  assert form(rebuilding.shapes(rebuilt, IMAGES)) == form(small)
  assert form(remove_channels(variables, graph.plan(keep))) == form(small)


def test_training_normalizes_by_the_batch():
  model = models.CompactVGG('mba', classes=3, dtype=jnp.bfloat16, **SMALL)
  variables = model.init(jax.random.key(0), IMAGES)
  biases = variables['params']['multi_bias1']['biases']
  np.testing.assert_array_equal(biases, [[-1, 1]] * 4)
  logits, new = model.apply(variables, IMAGES, True, mutable=['batch_stats'])
  assert logits.shape == (2, 3) and logits.dtype == jnp.bfloat16
  means = new['batch_stats']['norm1']['mean']
  assert means.dtype == jnp.float32 and (np.asarray(means) != 0).any()


@pytest.mark.parametrize(
  ('options', 'words'),
  [
    ({'kind': 'p6'}, "kind is 'p6'"),
    ({'kind': 'p4m', 'maps': (16, 12)}, 'multiples of 8'),
    ({'widths': {'conv7': 3}}, 'widths names conv7'),
  ],
)
def test_what_cannot_be_built_is_said(options, words):
  with pytest.raises(ValueError, match=words):
    rebuilding.shapes(models.CompactVGG(**options), IMAGES)
