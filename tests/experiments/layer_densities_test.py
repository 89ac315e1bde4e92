import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

import jcompress as jc
from jcompress.experiments import layer_densities, recipe

PARAMS = {
  'a': {'kernel': jnp.arange(1.0, 11).reshape(5, 2), 'bias': jnp.ones(2)},
  'b': {'kernel': jnp.arange(1.0, 5).reshape(2, 2), 'bias': jnp.ones(2)},
}
DENSITIES = ml_collections.ConfigDict({'a': 0.2, 'b': 0.75})


def test_each_kernel_is_pruned_to_the_density_of_its_layer():
  prune = lambda density: jc.magnitude_prune(1 - density)
  comp = layer_densities.by_layer(DENSITIES, prune)
  pruned = jc.decode(comp.encode(*comp.init(PARAMS)))
  assert np.flatnonzero(pruned['a']['kernel']).tolist() == [8, 9]
  assert np.flatnonzero(pruned['b']['kernel']).tolist() == [1, 2, 3]
  np.testing.assert_array_equal(pruned['b']['bias'], PARAMS['b']['bias'])


def test_sparsity_rises_to_the_density_in_half_of_the_stage():
  start = recipe.Start(None, {'params': PARAMS}, steps=8)
  sparsities = []

  def method(sparsity):
    sparsities.append(sparsity)
    return jc.magnitude_prune(sparsity)

  layer_densities.rising(DENSITIES, start, method)
  assert [float(s(0)) for s in sparsities] == [0, 0]
  ends = [float(s(5)) for s in sparsities]
  assert ends == pytest.approx([0.8, 0.25])
  middle = float(sparsities[0](2))
  assert 0.4 < middle < 0.8  # fast first


def test_the_density_of_all_counts_weights_and_no_biases():
  found = layer_densities.of_all(DENSITIES, PARAMS)
  assert found == pytest.approx((2 + 3) / (10 + 4))
