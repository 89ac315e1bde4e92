import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.grids import GRIDS, find_grid


def quantized(w, *arguments, **options):
  comp = jc.grid_quantize(*arguments, **options)
  return comp.encode(*comp.init(jnp.asarray(w, jnp.float32)))


def test_the_largest_weight_of_a_block_is_exact():
  w = np.array([[2.0], [-0.2], [0.5], [-4.0], [0.3], [0.0]])
  leaf = quantized(w, 'nf4', block=3)
  np.testing.assert_array_equal(leaf.scale, [[2], [4]])
  assert leaf.scale.dtype == jnp.bfloat16 and leaf.tile == (0, 3)
  want = 2 * 0.24611230194568634, 4 * 0.07958029955625534
  np.testing.assert_allclose(
    leaf.decode().ravel(),
    [2, 2 * -0.09105003625154495, want[0], -4, want[1], 0],
    rtol=1e-5,
  )


def test_microscaling_cuts_off_what_is_above_the_largest_value():
  w = np.array([[7.9, 0.3], [-5.0, 0.11], [0.3, -0.01], [0.25, 0.0]])
  leaf = quantized(w, 'mxfp4')
  np.testing.assert_array_equal(leaf.scale, [[0, -4]])
  assert leaf.scale.dtype == jnp.int8
  # Halfway between -6 and -4, and between 0 and 0.5: to the even mantissa.
  np.testing.assert_array_equal(leaf.decode()[:, 0], [6, -4, 0.5, 0])
  np.testing.assert_allclose(leaf.decode()[:, 1], [0.25, 0.125, 0, 0])


@pytest.mark.parametrize('grid', ['e4m3', 'e5m2'])
def test_floats_of_eight_bits_have_one_scale_an_output(grid):
  w = jax.random.normal(jax.random.key(0), (300, 4))
  leaf = quantized(w, grid, scale_dtype='float32')
  assert leaf.scale.shape == (1, 4) and leaf.tile is None
  largest = {'e4m3': 448, 'e5m2': 57344}[grid]
  np.testing.assert_allclose(leaf.scale[0], jnp.abs(w).max(0) / largest)
  dtype = {'e4m3': jnp.float8_e4m3fn, 'e5m2': jnp.float8_e5m2}[grid]
  want = (w / leaf.scale).astype(dtype).astype(jnp.float32) * leaf.scale
  np.testing.assert_array_equal(leaf.decode(), want)


@pytest.mark.parametrize('grid', GRIDS)
def test_values_are_the_nearest_of_their_block(grid):
  w = jax.random.normal(jax.random.key(1), (70, 3)) * 0.1
  leaf = quantized(w, grid)
  block = find_grid(grid).block or 70
  scale = jnp.asarray(leaf.scale)
  if scale.dtype == jnp.int8:
    scale = np.exp2(np.float64(scale))
  each = np.repeat(np.float64(scale), block, 0)[:70]
  values = np.float64(find_grid(grid).values) * each[..., None]
  off = np.abs(values - np.asarray(w)[..., None]).min(-1)
  got = np.abs(leaf.decode() - w)
  np.testing.assert_allclose(got, off, rtol=1e-4, atol=1e-7)


def test_errors_fall_in_the_order_of_the_grids():
  w = jax.random.normal(jax.random.key(2), (256, 64))
  size = jnp.sum(w**2)
  error = lambda leaf: float(jnp.sum((leaf.decode() - w) ** 2) / size)
  found = {grid: error(quantized(w, grid)) for grid in GRIDS}
  order = ['e4m3', 'mxfp6_e2m3', 'mxfp6_e3m2', 'nf4', 'fp4', 'mxfp4']
  assert [found[g] for g in order] == sorted(found[g] for g in order)
  line = jc.linear_quantize(4, tile=64)
  assert found['nf4'] < error(line.encode(*line.init(w))) < 0.03


def test_files_have_little_beside_the_codes():
  w = jax.random.normal(jax.random.key(3), (512, 64))
  size = lambda *a, **k: 8 * len(jc.pack(quantized(w, *a, **k))) / w.size
  assert size('nf4') < 4.3
  assert size('mxfp4') < 4.0
  assert size('nf4', scale_dtype='float32') > size('nf4') + 0.15


def test_gradients_pass_straight_through_but_not_to_zeros():
  w = jnp.array([[0.5, 0.0], [-3.0, 0.0], [0.0, 0.0]])
  comp = jc.grid_quantize()
  latent, state = comp.init(w)
  grad = jax.grad(lambda l: jnp.sum(2 * comp.view(l, state)))(latent)
  np.testing.assert_array_equal(grad, [[2, 0], [2, 0], [0, 0]])
  comp = jc.grid_quantize(keep_zeros=True)
  latent, state = comp.init(jnp.zeros((3, 2)))
  grad = jax.grad(lambda l: jnp.sum(2 * comp.view(l, state)))(latent)
  np.testing.assert_array_equal(grad, jnp.zeros((3, 2)))


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'grid': 'fp3'}, "grid is 'fp3'"),
    ({'block': 1}, 'block is 1'),
    ({'axis': None}, 'axis None'),
    ({'scale_dtype': 'float8'}, 'scale_dtype'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.grid_quantize(**arguments)


def test_a_vector_is_refused():
  with pytest.raises(ValueError, match='no axis of a weight'):
    jc.grid_quantize().init(jnp.ones(4))
