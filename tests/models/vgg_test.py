import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rebuilding

from jcompress import flops, recalibrate, tree
from jcompress.models import VGG16

IMAGES = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype('f4')
LAYERS = [*(f'conv{i}' for i in range(1, 14)), 'fc1', 'fc2']
SMALL = VGG16(widths={name: 4 for name in LAYERS[:-1]})


def test_parameters_and_multiply_accumulates():
  variables = rebuilding.shapes(VGG16(), IMAGES[:1])
  weights = sum(
    x.size for x in jax.tree.leaves(tree.split(tree.KERNELS, variables)[0])
  )
  assert weights == 14_977_728
  cost = flops(VGG16().apply, variables, IMAGES[:1])
  assert cost.macs == 313_463_808
  # Scale, bias, mean and variance of 4224 + 512 channels; biases of fc2.
  assert cost.params == weights + 4 * 4736 + 10


def test_the_pattern_matches_the_kernels_alone():
  names, others = rebuilding.kernels(SMALL, IMAGES)
  assert names == set(LAYERS) and others == {'bias', 'mean', 'scale', 'var'}


def test_half_of_it_is_rebuilt_from_its_widths():
  _, small = rebuilding.remove_half(SMALL, IMAGES)
  assert small['params']['conv13']['kernel'].shape == (3, 3, 2, 2)
  assert small['params']['fc2']['kernel'].shape == (2, 10)


def test_models_of_equal_widths_are_one_static_argument():
  twin = VGG16(widths=dict(SMALL.widths))
  assert twin == SMALL and hash(twin) == hash(SMALL)


def test_larger_images_are_flattened():
  x = jax.ShapeDtypeStruct((1, 64, 96, 1), jnp.float32)
  params = rebuilding.shapes(SMALL, x)['params']
  assert params['fc1']['kernel'].shape == (2 * 3 * 4, 4)


def test_training_normalizes_by_the_batch_and_moves_the_statistics():
  variables = rebuilding.draw(rebuilding.shapes(SMALL, IMAGES))
  train = jax.jit(lambda v, x: SMALL.apply(v, x, True, mutable='batch_stats'))
  logits, updates = train(variables, IMAGES)
  assert logits.shape == (2, 10)
  kernel = variables['params']['conv1']['kernel']
  y = jax.lax.conv_general_dilated(
    IMAGES, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  old = variables['batch_stats']['norm1']
  new = updates['batch_stats']['norm1']
  want = 0.9 * old['mean'] + 0.1 * y.mean((0, 1, 2))
  np.testing.assert_allclose(new['mean'], want, rtol=1e-4, atol=1e-5)
  want = 0.9 * old['var'] + 0.1 * y.var((0, 1, 2))
  np.testing.assert_allclose(new['var'], want, rtol=1e-4)
  found = recalibrate(lambda v, x: train(v, x)[1], variables, [IMAGES])
  np.testing.assert_allclose(
    found['batch_stats']['norm1']['mean'], y.mean((0, 1, 2)), atol=1e-5
  )


def test_computes_in_the_dtype_that_is_asked_for():
  half = SMALL.clone(dtype=jnp.bfloat16, classes=7)
  logits, variables = jax.eval_shape(
    half.init_with_output, jax.random.key(0), IMAGES
  )
  assert logits.dtype == jnp.bfloat16 and logits.shape == (2, 7)
  assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype('f4')}


def test_images_that_would_vanish_are_refused():
  with pytest.raises(ValueError, match='28x28 vanish in five poolings'):
    rebuilding.shapes(VGG16(), np.zeros((1, 28, 28, 1)))
