"""Labels of matrix products and convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rules import Walk

from jcompress.channels import elementwise
from jcompress.channels.products import RULES


def convolve(groups=1, **options):
  def f(x, kernel):
    return jax.lax.conv_general_dilated(
      x,
      kernel,
      (1, 1),
      'SAME',
      feature_group_count=groups,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      **options,
    )

  return f


def test_a_product_couples_what_it_sums_over():
  walk = Walk(RULES, jnp.dot, jnp.zeros((4, 3)), jnp.zeros((3, 5)))
  x, kernel = walk.args
  (y,) = walk.outs
  assert walk.atoms(x, 1) == walk.atoms(kernel, 0)
  assert walk.atoms(y, 0) == walk.atoms(x, 0)
  assert walk.atoms(y, 1) == walk.atoms(kernel, 1)
  assert all(walk.is_free(x, d) for d in (0, 1))


def test_batch_axes_of_a_product_are_kept_together():
  f = lambda q, k: jnp.einsum('bqd,bkd->bqk', q, k)
  walk = Walk(RULES, f, jnp.zeros((2, 4, 3)), jnp.zeros((2, 5, 3)))
  q, k = walk.args
  (y,) = walk.outs
  assert walk.atoms(q, 0) == walk.atoms(k, 0) == walk.atoms(y, 0)
  assert walk.atoms(q, 2) == walk.atoms(k, 2)


def test_products_of_activations_need_a_masked_zero():
  rules = {**RULES, **elementwise.RULES}
  sigmoid = lambda q, k: jax.lax.logistic(q) @ jax.lax.logistic(k)
  walk = Walk(rules, sigmoid, jnp.zeros((4, 3)), jnp.zeros((3, 5)))
  assert 'not provably 0' in walk.reason(walk.args[0], 1)
  assert walk.is_free(walk.args[1], 1)
  one_sided = lambda q, k: jax.lax.logistic(q) @ k
  walk = Walk(rules, one_sided, jnp.zeros((4, 3)), jnp.zeros((3, 5)))
  assert walk.is_free(walk.args[0], 1)


def test_infinite_channels_are_not_summed():
  rules = {**RULES, **elementwise.RULES}
  f = lambda x, w: jnp.log(x) @ w
  walk = Walk(rules, f, jnp.zeros((4, 3)), jnp.zeros((3, 5)))
  assert 'not finite' in walk.reason(walk.args[0], 1)


def test_a_convolution_couples_channels_and_keeps_its_window():
  x, kernel = jnp.zeros((2, 5, 5, 3)), jnp.zeros((2, 2, 3, 4))
  walk = Walk(RULES, convolve(), x, kernel)
  x, kernel = walk.args
  (y,) = walk.outs
  assert walk.atoms(x, 3) == walk.atoms(kernel, 2)
  assert walk.atoms(y, 3) == walk.atoms(kernel, 3)
  assert walk.atoms(y, 0) == walk.atoms(x, 0)
  assert walk.is_free(kernel, 3) and walk.is_free(kernel, 2)
  assert walk.reason(x, 1).endswith('spatial axis')
  assert walk.reason(kernel, 0).endswith('kernel window axis')


def test_a_convolution_with_one_output_is_not_depthwise():
  x, kernel = jnp.zeros((2, 5, 5, 6)), jnp.zeros((3, 3, 6, 1))
  walk = Walk(RULES, convolve(), x, kernel)
  assert walk.atoms(walk.args[0], 3) == walk.atoms(walk.args[1], 2)
  assert walk.is_free(walk.args[0], 3)
  assert not walk.frame.groups


def test_depthwise_outputs_are_the_inputs():
  x, kernel = jnp.zeros((2, 5, 5, 6)), jnp.zeros((3, 3, 1, 6))
  walk = Walk(RULES, convolve(6), x, kernel)
  assert walk.atoms(walk.args[0], 3) == walk.atoms(walk.args[1], 3)
  assert walk.is_free(walk.args[0], 3)


def test_a_grouped_convolution_has_groups_inputs_and_outputs():
  x, kernel = jnp.zeros((1, 5, 5, 12)), jnp.zeros((3, 3, 4, 6))
  walk = Walk(RULES, convolve(3), x, kernel)
  x, kernel = walk.args
  channels, outputs = walk.atoms(x, 3), walk.atoms(kernel, 3)
  group = [set(walk.store.atoms(g)) for g in walk.frame.groups[0]]
  for g in range(3):
    assert channels[4 * g] & channels[4 * g + 1] == group[g]
    assert outputs[2 * g] & outputs[2 * g + 1] == group[g]
  position = [c - group[0] for c in walk.atoms(kernel, 2)]
  assert position == [c - group[2] for c in channels[8:]]


def test_batch_groups_are_not_understood():
  f = lambda x, k: jax.lax.conv_general_dilated(
    x, k, (1,), 'SAME', batch_group_count=2
  )
  walk = Walk(RULES, f, jnp.zeros((2, 3, 5)), jnp.zeros((4, 3, 2)))
  assert walk.analysis.unknown == {'conv_general_dilated': 1}


@pytest.mark.parametrize('ones, kinds', [(True, 2), (False, 1)])
def test_a_product_with_ones_counts_as_a_sum(ones, kinds):
  w = np.ones(3) if ones else np.arange(3.0)
  walk = Walk(RULES, lambda x: x @ w.astype('f4'), jnp.zeros((4, 3)))
  assert len(walk.outs[0].sums) == kinds
