"""Every compressor under settings that a program may have, cheaply.

Weights of any magnitude, half precision, 64-bit types, strict promotion of
dtypes and ranks, NaN checks: one init, one step and one encoding each.
"""

import compressors
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws_test import every, leaves, selected

import jcompress as jc

# Whose view is not proportional to the weights at init, and why.
ABSOLUTE = {
  **dict.fromkeys(
    ('magnitude_quality', 'surgery_quality'), 'a threshold among the weights'
  ),
  **dict.fromkeys(
    (
      'binary_connect',
      'binary_connect_stochastic',
      'binary_weight_printed',
      'distort_rounding',
      'distort_noise',
      'distort_projection',
      'loss_aware_binarize',
      'loss_aware_ternarize',
      'loss_aware_ternarize_two',
      'loss_aware_levels',
      'loss_aware_levels_log',
      'ternary_connect',
      'few_multiplications_binary',
    ),
    'clips to a fixed range',
  ),
  **dict.fromkeys(
    ('trained_ternary', 'sign_quantize', 'dorefa', 'fixed_point')
    + ('fixed_point_stochastic', 'fixed_point_mask'),
    'values of a fixed size',
  ),
  **dict.fromkeys(
    ('biased_decay_decoupled', 'biased_decay_exponential')
    + ('biased_decay_rumelhart', 'group_lasso_proximal', 'group_lasso_several')
    + ('group_lasso_nested', 'gradual_groups', 'gradual_groups_global'),
    'shrinks by a fixed amount',
  ),
  'variational_dropout': 'noise of a fixed size',
  'error_corrected': 'the codes are fitted to the responses',
}


def stretched(power, dtype=jnp.float32):
  """The params of the table, their kernels times a power of two."""
  params = compressors.params(dtype)
  return {
    name: dict(layer, kernel=jnp.ldexp(layer['kernel'], power))
    for name, layer in params.items()
  }


@every
@pytest.mark.parametrize(
  'power', [120, pytest.param(-100, marks=pytest.mark.slow)]
)
def test_weights_of_any_magnitude(name, power):
  """Sums of large weights do not overflow, those of small ones are not lost."""
  comp = selected(name)
  views = []
  for params in (stretched(0), stretched(power)):
    latent, state = comp.init(params)
    grads = jax.tree.map(jnp.zeros_like, latent)
    latent, state = comp.update(latent, state, grads)
    view = comp.view(latent, state)
    decoded = jc.decode(comp.encode(latent, state))
    for x in leaves((latent, view, decoded)):
      assert jnp.isfinite(x).all()
    views.append([view[layer]['kernel'] for layer in ('fc0', 'fc1')])
  want, got = views
  same = all(
    np.allclose(jnp.ldexp(b, -power), a, rtol=1e-4, atol=1e-6)
    for a, b in zip(want, got, strict=True)
  )
  assert same or name in ABSOLUTE
