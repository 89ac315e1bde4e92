import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.host_grid import (
  fit_grid,
  fit_groups,
  grid_rule,
  group_numbers,
  quantized_leaf,
  round_groups,
)


@pytest.mark.parametrize('symmetric', [True, False])
@pytest.mark.parametrize(
  ('calibration', 'scale_dtype'),
  [('absmax', 'float32'), ('absmax', 'bfloat16'), ('mse', 'float32')],
)
@pytest.mark.parametrize('bits', [2, 5])
def test_is_the_grid_of_linear_quantize(
  bits, symmetric, calibration, scale_dtype
):
  w = jax.random.normal(jax.random.key(bits), (20, 6), jnp.float32)
  rule = grid_rule(bits, symmetric, calibration, scale_dtype)
  rows, numbers = np.asarray(w.T, np.float64), group_numbers(w.shape, 8)
  grid = fit_groups(rows, numbers, rule, np.ones(20))
  rounded = round_groups(rows, numbers, grid, rule)
  leaf = quantized_leaf(rounded, grid, rule, w.shape, w.dtype, 8)
  comp = jc.linear_quantize(
    bits,
    symmetric=symmetric,
    tile=8,
    calibration=calibration,
    scale_dtype=scale_dtype,
  )
  want = comp.encode(*comp.init(w))
  assert leaf.tile == want.tile and leaf.codes.dtype == want.codes.dtype
  np.testing.assert_allclose(
    leaf.scale.astype(jnp.float32), want.scale.astype(jnp.float32), rtol=1e-6
  )
  np.testing.assert_array_equal(leaf.codes, want.codes)
  if not symmetric:
    np.testing.assert_array_equal(leaf.zero, want.zero)


def test_the_square_of_an_error_counts_as_much_as_its_weight():
  rule = grid_rule(2, True, 'mse', 'float32')
  rows = np.array([[1.0] + 8 * [0.45]])
  assert fit_grid(rows, rule).scale[0] < 0.6
  first = fit_grid(rows, rule, np.array([100.0] + 8 * [1]))
  np.testing.assert_allclose(first.scale, 1, rtol=0.03)


def test_groups_of_zeros_and_of_nothing_have_scale_one():
  rule = grid_rule(4, False, 'mse', 'bfloat16')
  for rows in (np.zeros((2, 3)), np.zeros((2, 0))):
    np.testing.assert_array_equal(fit_grid(rows, rule).scale, [1, 1])


def test_groups_of_a_convolution_run_along_its_input_channels():
  np.testing.assert_array_equal(
    group_numbers((2, 1, 5, 7), 2), [0, 0, 1, 1, 2, 0, 0, 1, 1, 2]
  )
  np.testing.assert_array_equal(group_numbers((3, 7), None), [0, 0, 0])


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((9, True, 'mse', 'float32'), 'bits is 9'),
    ((4, True, 'best', 'float32'), "'best'"),
    ((4, True, 'percentile', 'float32'), "give 'absmax' or 'mse'"),
    ((4, True, 'mse', 'float64'), 'scale_dtype'),
  ],
)
def test_bad_settings_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    grid_rule(*arguments)
