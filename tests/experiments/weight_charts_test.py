import re

import jax.numpy as jnp
import numpy as np

from jcompress import encoded
from jcompress.experiments import weight_charts

CODES = jnp.array([[0, 1, 1, 2], [0, 0, 2, 2]])
KERNEL = encoded.Codebook(jnp.array([0.0, -0.5, 1.0, 0.25]), CODES)
RNG = np.random.default_rng(0)


def test_kernels_are_floats_of_two_axes_or_more_in_the_order_of_numbers():
  tree = {
    'a10': KERNEL,
    'a2': encoded.Dense(jnp.ones((2, 3))),
    'bias': encoded.Dense(jnp.ones(3)),
    'counts': encoded.Dense(jnp.ones((2, 2), jnp.int32)),
    'none': encoded.Dense(jnp.ones((0, 2))),
  }
  found = weight_charts.layers(tree)
  assert [x.path for x in found] == ['a2', 'a10']
  np.testing.assert_array_equal(found[1].values, KERNEL.decode())


def test_few_values_have_a_spike_each_and_all_centers_a_stroke():
  (chart,) = weight_charts.weights(weight_charts.layers({'w': KERNEL}))
  assert '5 of 8 weights are not zero; values: 2' in chart
  assert chart.count('class="bar "') == 2
  (strokes,) = re.findall('class="level" d="(.*?)"', chart)
  assert strokes.count('M') == 4


def test_many_values_have_columns_that_hold_all_but_outliers():
  values = RNG.normal(size=(100, 100))
  values[0, 0] = 80
  (chart,) = weight_charts.weights(
    weight_charts.layers({'w': encoded.Dense(jnp.asarray(values))})
  )
  assert '>4</text>' in chart and '>80<' not in chart
  assert '% lie further out' in chart and 'class="level"' not in chart
  assert 30 < chart.count('class="bar "') <= 64


def test_a_kernel_of_zeros_has_no_chart_and_only_masks_are_drawn():
  mask = RNG.random((30, 20)) < 0.2
  tree = {
    'conv': encoded.Dense(jnp.asarray(RNG.random((3, 3, 2, 4)) < 0.3) * 1.0),
    'dense': encoded.Dense(jnp.asarray(mask) * 1.0),
    'full': encoded.Dense(jnp.ones((5, 5))),
    'zeros': encoded.Dense(jnp.zeros((5, 5))),
  }
  found = weight_charts.layers(tree)
  assert weight_charts.weights(found)[-1] == ''
  conv, dense = weight_charts.masks(found)
  assert 'filters of 3x3; inputs: 2, outputs: 4' in conv
  assert f'dense: {mask.mean() * 100:.3g} % are left' in dense
  assert '30 inputs across, 20 outputs down' in dense
