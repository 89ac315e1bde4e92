import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rebuilding

from jcompress import flops
from jcompress.models import SeparableNet

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype('f4')
SMALL = SeparableNet(stem=4, blocks=((6, 1), (8, 2)))


def test_parameters_and_multiply_accumulates():
  """A block costs `9 I + I O` at each place, not `9 I O`."""
  x, model = jnp.zeros((1, 32, 32, 3)), SeparableNet()
  variables = rebuilding.shapes(model, x)
  wide = 32, 64, 128, 128, 256, 256
  blocks = [9 * i + i * o for i, o in zip(wide, wide[1:], strict=False)]
  convs = 27 * 32 + sum(blocks)
  norms = 2 * (2 * sum(wide[:-1]) + wide[-1])
  fc = 256 * 10
  cost = flops(model.apply, variables, x)
  assert cost.params == convs + 2 * norms + fc + 10 == 139_722
  # Strides of the second and fourth depthwise layer divide the places by 4.
  places = 1024, 256, 256, 64, 64
  macs = 1024 * 27 * 32 + fc
  macs += sum(n * block for n, block in zip(places, blocks, strict=True))
  assert cost.macs == macs == 16_525_824


def test_the_pattern_matches_the_kernels_alone():
  names, others = rebuilding.kernels(SMALL, IMAGES)
  layers = {f'{kind}wise{i}' for kind in ('depth', 'point') for i in (1, 2)}
  assert names == {'conv', *layers, 'fc'}
  assert others == {'bias', 'mean', 'scale', 'var'}


def test_half_of_it_is_rebuilt_from_its_widths():
  _, small = rebuilding.remove_half(SMALL, IMAGES)
  assert small['params']['depthwise2']['kernel'].shape == (3, 3, 1, 3)
  assert small['params']['pointwise2']['kernel'].shape == (1, 1, 3, 4)


def test_depthwise_layers_are_as_wide_as_their_inputs():
  model = SMALL.clone(widths={'conv': 3, 'pointwise1': 5})
  params = rebuilding.shapes(model, IMAGES)['params']
  assert params['depthwise1']['kernel'].shape == (3, 3, 1, 3)
  assert params['depthwise2']['kernel'].shape == (3, 3, 1, 5)
  with pytest.raises(ValueError, match='depthwise1 is 2 wide and has 4 inputs'):
    rebuilding.shapes(SMALL.clone(widths={'depthwise1': 2}), IMAGES)


def test_depthwise_layers_do_not_mix_channels():
  variables = rebuilding.draw(rebuilding.shapes(SMALL, IMAGES))
  run = jax.jit(lambda v: SMALL.apply(v, IMAGES, capture_intermediates=True)[1])
  seen = lambda: run(variables)['intermediates']['depthwise1']['__call__'][0]
  before = seen()
  conv = variables['params']['conv']
  conv['kernel'] = conv['kernel'] + np.array([0, 0, 1, 0], 'f4')
  changed = np.abs(seen() - before).max((0, 1, 2)) > 0
  assert changed.tolist() == [False, False, True, False]


def test_classes_and_compute_dtype():
  model = SMALL.clone(dtype=jnp.bfloat16, classes=7)
  logits, variables = jax.eval_shape(
    model.init_with_output, jax.random.key(0), IMAGES
  )
  assert logits.dtype == jnp.bfloat16 and logits.shape == (2, 7)
  assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype('f4')}
