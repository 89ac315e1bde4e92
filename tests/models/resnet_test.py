import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rebuilding

from jcompress import channel_groups, flops, tree
from jcompress.models import ResNet

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype('f4')
NARROW = {'conv1': 4, 'conv2': 3, 'conv3': 4, 'conv4': 5, 'conv5': 6}
NARROW |= {'conv6': 4, 'conv7': 8}
PROJECTED = {'shortcut4': 6, 'shortcut6': 8}
SMALL = ResNet(8, widths=NARROW)
WITH_PROJECTION = ResNet(8, projection=True, widths=NARROW | PROJECTED)


@pytest.mark.parametrize(
  'depth, weights, macs',
  [
    # The stem, 6, 6 and 6 convolutions of 16, 32 and 64 channels, and fc.
    (
      20,
      432 + 9 * (6 * 16**2 + 16 * 32 + 5 * 32**2 + 32 * 64 + 5 * 64**2) + 650,
      40_551_040,
    ),
    (56, 848_954, 125_485_696),
    (110, 1_719_866, 252_887_680),
  ],
)
def test_parameters_and_multiply_accumulates(depth, weights, macs):
  model, x = ResNet(depth), jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  variables = rebuilding.shapes(model, x)
  kernels = jax.tree.leaves(tree.split(tree.KERNELS, variables)[0])
  assert sum(kernel.size for kernel in kernels) + 10 == weights
  assert flops(model.apply, variables, x).macs == macs


def test_projections_cost_two_kernels_more():
  x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  plain, projected = ResNet(), ResNet(projection=True)
  macs = lambda model: flops(model.apply, rebuilding.shapes(model, x), x).macs
  more = 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64
  assert macs(projected) - macs(plain) == more


@pytest.mark.parametrize('model', [SMALL, WITH_PROJECTION])
def test_the_pattern_matches_the_kernels_alone(model):
  names, others = rebuilding.kernels(model, IMAGES)
  assert names == {*model.widths, 'fc'}
  assert others == {'bias', 'mean', 'scale', 'var'}


@pytest.mark.parametrize('model', [SMALL, WITH_PROJECTION])
def test_half_of_it_is_rebuilt_from_its_widths(model):
  _, small = rebuilding.remove_half(model, IMAGES)
  sizes = [small['params'][f'conv{i}']['kernel'].shape[3] for i in range(1, 8)]
  assert sizes == [2, 2, 2, 3, 3, 2, 4]


def test_without_projections_a_channel_stays_up_to_the_end():
  """That of the first stage is one in each; those padded are of their own."""
  graph = channel_groups(SMALL.apply, rebuilding.shapes(SMALL, IMAGES), IMAGES)
  readers = lambda name: {
    path.split('/')[1]
    for path, axis in graph.groups[f'params/{name}'].places
    if path.endswith('kernel') and axis != 3
  }
  assert readers('conv1/kernel:3') == {'conv2', 'conv4', 'conv6', 'fc'}
  assert readers('conv5/kernel:3') == {'conv6', 'fc'}
  assert readers('conv7/kernel:3') == {'fc'}


def test_blocks_that_compute_nothing_leave_the_shortcuts():
  variables = rebuilding.draw(rebuilding.shapes(SMALL, IMAGES))
  params = variables['params']
  for i in (3, 5, 7):
    params[f'norm{i}'] = jax.tree.map(np.zeros_like, params[f'norm{i}'])
  run = jax.jit(lambda v, x: SMALL.apply(v, x, capture_intermediates=True))
  logits, seen = run(variables, IMAGES)
  stem = np.maximum(seen['intermediates']['norm1']['__call__'][0], 0)
  features = np.zeros((2, 8), 'f4')
  features[:, :4] = stem[:, ::4, ::4].mean((1, 2))
  want = features @ params['fc']['kernel'] + params['fc']['bias']
  np.testing.assert_allclose(logits, want, rtol=1e-5, atol=1e-5)


def test_half_precision_and_odd_images():
  model = SMALL.clone(dtype=jnp.float16, classes=7)
  logits, variables = jax.eval_shape(
    model.init_with_output, jax.random.key(0), np.zeros((2, 7, 9, 1))
  )
  assert logits.dtype == jnp.float16 and logits.shape == (2, 7)
  assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype('f4')}


def test_a_depth_that_is_not_six_n_plus_two_is_refused():
  with pytest.raises(ValueError, match='depth is 18; it must be 6 n [+] 2'):
    rebuilding.shapes(ResNet(18), IMAGES)


def test_widths_of_projections_need_projections():
  with pytest.raises(ValueError, match='widths names shortcut4, shortcut6'):
    rebuilding.shapes(ResNet(8, widths=PROJECTED), IMAGES)
