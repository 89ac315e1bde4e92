import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.models import LeNet5

K = np.random.RandomState(0).randn(3, 3, 4, 5)


def conv(x, k, groups=1, strides=(1, 1)):
  return jax.lax.conv_general_dilated(
    x,
    jnp.asarray(k),
    strides,
    'SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=groups,
  )


def test_the_error_is_what_one_filter_a_channel_leaves():
  d, p = jc.depthwise_factors(jnp.float32(K))
  assert d.shape == (3, 3, 1, 4) and p.shape == (1, 1, 4, 5)
  product = np.einsum('abi,io->abio', np.float64(d[:, :, 0]), p[0, 0])
  np.testing.assert_allclose(np.square(K).sum(), 184.033507, rtol=1e-6)
  np.testing.assert_allclose(
    np.square(K - product).sum(), 103.214360, rtol=1e-5
  )
  np.testing.assert_allclose(jc.depthwise().product((d, p)), product, atol=1e-5)


def test_two_layers_are_the_product():
  d, p = jc.depthwise_factors(jnp.float32(K))
  x = jnp.float32(np.random.RandomState(1).randn(2, 7, 8, 4))
  small = conv(conv(x, d, 4, (2, 1)), p)
  full = conv(x, jc.depthwise().product((d, p)), strides=(2, 1))
  np.testing.assert_allclose(small, full, atol=1e-4)


def test_a_separable_kernel_is_found_and_zeros_stay_zeros():
  d = jnp.float32(np.random.RandomState(2).randn(3, 3, 1, 4))
  p = jnp.float32(np.random.RandomState(3).randn(1, 1, 4, 5))
  whole = jc.depthwise().product((d, p)).at[:, :, 1].set(0)
  again = jc.depthwise().product(jc.depthwise_factors(whole))
  np.testing.assert_allclose(again, whole, atol=1e-5)
  assert not again[:, :, 1].any()


def test_the_convolutions_of_a_network_are_replaced():
  x = jnp.float32(np.random.RandomState(0).rand(2, 28, 28, 1))
  model = LeNet5()
  params = model.init(jax.random.key(0), x)
  small_apply, small = jc.replace_convolutions(model.apply, params, x)
  shapes = jax.tree.map(np.shape, small['params'])
  assert shapes['conv2']['kernel'] == {
    'depthwise': {'kernel': (5, 5, 1, 20)},
    'pointwise': {'kernel': (1, 1, 20, 50)},
  }
  assert shapes['fc1']['kernel'] == np.shape(params['params']['fc1']['kernel'])
  dense = jax.tree.map(lambda a: a, params)
  method = jc.depthwise()
  for name in ('conv1', 'conv2'):
    kernel = params['params'][name]['kernel']
    dense['params'][name]['kernel'] = method.product(method.factors(kernel))
  np.testing.assert_allclose(
    small_apply(small, x), model.apply(dense, x), atol=1e-5
  )
  _, rest = jc.replace_convolutions(
    model.apply, params, x, pattern='.*conv2/kernel'
  )
  assert np.shape(rest['params']['conv1']['kernel']) == (5, 5, 1, 20)


def test_where_nothing_can_be_replaced():
  x = jnp.ones((1, 6))
  with pytest.raises(ValueError, match="pattern 'w'.* are w"):
    jc.replace_convolutions(
      lambda p, x: x @ p['w'], {'w': jnp.ones((6, 3))}, x, pattern='w'
    )
  with pytest.raises(ValueError, match='w cannot be factored by depthwise'):
    plan = {'w': jc.depthwise()}
    jc.factorize(lambda p, x: x @ p['w'], {'w': jnp.ones((6, 3))}, plan, x)
