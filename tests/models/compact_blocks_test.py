import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rebuilding

from jcompress import models
from jcompress.models import (
  FactorizedConv,
  Fire,
  InvertedResidual,
  ShuffleUnit,
)


def sizes(module, channels, only=''):
  """Numbers of the params, or of the kernels alone."""
  x = jnp.zeros((1, 8, 8, channels))
  params = rebuilding.shapes(module, x)['params']
  flat = jax.tree_util.tree_leaves_with_path(params)
  return sum(
    x.size for path, x in flat if jax.tree_util.keystr(path).endswith(only)
  )


def test_counts():
  kernels = "['kernel']"
  assert sizes(Fire(16, 64, 64), 96) == 11_920
  assert sizes(ShuffleUnit(240, 60), 240, kernels) == 10_140
  assert sizes(ShuffleUnit(240, 60, groups=1), 240, kernels) == 29_340
  lines = FactorizedConv(192, ((1, 7), (7, 1)))
  assert sizes(lines, 192, kernels) == 516_096
  twice = FactorizedConv(10, ((3, 3), (3, 3)))
  assert sizes(twice, 10, kernels) == 18 * 100
  block = InvertedResidual(24)
  assert sizes(block, 24, kernels) == 24 * 144 + 9 * 144 + 144 * 24


def test_whole_networks_have_the_known_number_of_parameters():
  images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
  count = lambda model: sum(
    x.size for x in jax.tree.leaves(rebuilding.shapes(model, images)['params'])
  )
  assert count(models.build('squeezenet')) == 1_248_424
  mobile = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
  mobile += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
  net = models.build('separable', classes=1000, stem=32, blocks=mobile)
  assert count(net) == 4_231_976
  # Of the units with strides the first has no groups, of 216 outputs.
  unit = lambda i, o, own, g: i * o // 4 // g + 9 * o // 4 + o // 4 * own // 3
  convs = 27 * 24 + unit(24, 240, 216, 1)
  convs += 3 * unit(240, 240, 240, 3) + unit(240, 480, 240, 3)
  convs += 7 * unit(480, 480, 480, 3) + unit(480, 960, 480, 3)
  convs += 3 * unit(960, 960, 960, 3)
  found = rebuilding.shapes(models.build('shufflenet'), images)['params']
  kernels = [
    layer['kernel'].size
    for unit in found.values()
    for layer in [unit, *[v for v in unit.values() if isinstance(v, dict)]]
    if 'kernel' in layer
  ]
  assert sum(kernels) == convs + 960 * 1000


def run(module, x):
  return module.apply(rebuilding.draw(rebuilding.shapes(module, x)), x)


def test_a_shuffle_unit_mixes_all_groups():
  """Each group of inputs reaches all outputs, by the shuffle alone."""
  x = jnp.float32(np.random.RandomState(0).rand(1, 5, 5, 12))
  unit = ShuffleUnit(12, 12)
  variables = unit.init(jax.random.key(0), x)
  for name in ('reduce_norm', 'expand_norm'):  # nothing is rectified
    variables['params'][name]['bias'] += 10
  y = unit.apply(variables, x) - x
  for group in range(3):
    other = x.at[..., 4 * group : 4 * group + 4].add(1.0)
    z = unit.apply(variables, other) - other
    assert (np.abs(z - y).max((0, 1, 2)) > 1e-2).all()


def test_a_unit_with_strides_stands_beside_its_input():
  x = jnp.ones((1, 8, 8, 6))
  y = run(ShuffleUnit(18, 12, strides=2, is_first=True), x)
  assert y.shape == (1, 4, 4, 18)
  np.testing.assert_allclose(y[0, 1, 1, :6], np.ones(6), atol=1e-6)


def test_an_inverted_residual_adds_its_input_where_it_can():
  x = jnp.ones((1, 6, 6, 4))
  block = InvertedResidual(4, 2)
  variables = rebuilding.draw(rebuilding.shapes(block, x))
  norm = variables['params']['project_norm']
  variables['params']['project_norm'] = jax.tree.map(np.zeros_like, norm)
  np.testing.assert_array_equal(block.apply(variables, x), x)
  assert run(InvertedResidual(4, 2, 2), x).shape == (1, 3, 3, 4)
  assert run(InvertedResidual(6, 2), x).shape == (1, 6, 6, 6)


def test_lines_are_a_window_where_nothing_is_rectified():
  """One place of the input reaches 3x3 of the output."""
  x = jnp.zeros((1, 7, 7, 1)).at[0, 3, 3, 0].set(1.0)
  block = FactorizedConv(1)
  variables = rebuilding.shapes(block, x)
  variables = jax.tree.map(lambda a: np.ones(a.shape, a.dtype), variables)
  y = block.apply(variables, x) - block.apply(variables, 0 * x)
  places = np.argwhere(np.abs(np.asarray(y)[0, 1:-1, 1:-1, 0]) > 1e-6) + 1
  assert places.min() == 2 and places.max() == 4 and len(places) == 9


@pytest.mark.parametrize(
  ('unit', 'words'),
  [
    (ShuffleUnit(6, 6), 'as many at stride 1'),
    (ShuffleUnit(12, 6, strides=2), 'more with strides'),
    (ShuffleUnit(12, 4), 'multiples of the 3 groups'),
    (ShuffleUnit(16, 6, strides=2), 'multiples of the 3 groups'),
  ],
)
def test_units_that_do_not_fit_are_refused(unit, words):
  with pytest.raises(ValueError, match=words):
    sizes(unit, 12)


def test_squeezenet_is_rebuilt_from_its_widths():
  x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype('f4')
  model = models.SqueezeNet(classes=7)
  rebuilding.remove_half(model, x)
  logits = jax.eval_shape(
    model.clone(dtype=jnp.bfloat16).apply, rebuilding.shapes(model, x), x
  )
  assert logits.shape == (1, 7) and logits.dtype == jnp.bfloat16
