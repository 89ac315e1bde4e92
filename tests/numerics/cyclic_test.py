import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress import ops
from jcompress.numerics import orbits

RNG = np.random.RandomState(0)
X = jnp.float32(RNG.randn(2, 7, 7, 2))
K, K2 = jnp.float32(RNG.randn(3, 3, 2, 3)), jnp.float32(RNG.randn(3, 3, 12, 2))


def conv(x, kernel):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def test_sliced_and_stacked_is_the_first_layer_of_p4():
  maps = ops.cyclic_stack(conv(ops.cyclic_slice(X), K))
  lifted = conv(X, orbits.expand(K, 'p4', (3, 3, 2, 12)))
  np.testing.assert_allclose(maps, lifted, atol=1e-5)


def test_rolled_it_is_the_second_layer_of_p4():
  first = jax.nn.relu(conv(ops.cyclic_slice(X), K))
  maps = ops.cyclic_stack(conv(ops.cyclic_roll(first), K2))
  lifted = jax.nn.relu(conv(X, orbits.expand(K, 'p4', (3, 3, 2, 12))))
  want = conv(lifted, orbits.expand(K2, 'p4', (3, 3, 12, 8), True))
  np.testing.assert_allclose(maps, want, atol=1e-4)


@pytest.mark.parametrize('kind', ['mean', 'max', 'rms'])
def test_what_is_pooled_turns_with_the_image(kind):
  run = lambda x: ops.cyclic_pool(conv(ops.cyclic_slice(x), K), kind)
  turn = lambda x: jnp.rot90(x, 1, (1, 2))
  np.testing.assert_allclose(run(turn(X)), turn(run(X)), atol=1e-5)
  assert np.abs(run(turn(X)) - run(X)).max() > 1


def test_the_three_ways_to_pool():
  x = jnp.array([3.0, 0.0, -4.0, 0.0]).reshape(4, 1, 1, 1)
  found = [float(ops.cyclic_pool(x, k)[0, 0, 0, 0]) for k in ('mean', 'max')]
  assert found == [-0.25, 3]
  np.testing.assert_allclose(ops.cyclic_pool(x, 'rms'), [[[[2.5]]]])
  grad = jax.grad(lambda x: ops.cyclic_pool(x, 'rms').sum())
  np.testing.assert_array_equal(grad(0 * x), 0 * x)


def test_images_that_cannot_be_turned_are_refused():
  with pytest.raises(ValueError, match='multiple of 4'):
    ops.cyclic_pool(X)
  with pytest.raises(ValueError, match="'mean', 'max' or 'rms'"):
    ops.cyclic_pool(ops.cyclic_slice(X), 'sum')
