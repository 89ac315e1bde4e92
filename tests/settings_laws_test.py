"""Every compressor under settings that a program may have, cheaply.

Weights of any magnitude, half precision, 64-bit types, strict promotion of
dtypes and ranks, NaN checks: one init, one step and one encoding each.
"""

import contextlib

import compressors
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws_test import every, leaves, one_of_each, selected

import jcompress as jc

# Whose view is not proportional to the weights at init, and why.
ABSOLUTE = {
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
    + ('group_lasso_nested', 'gradual_groups', 'gradual_groups_global')
    + ('nuclear_norm', 'nuclear_norm_every'),
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


SETTINGS = {
  'x64': lambda: jax.enable_x64(True),
  'strict dtypes': lambda: jax.numpy_dtype_promotion('strict'),
  'strict ranks': lambda: jax.numpy_rank_promotion('raise'),
  'NaN checks': lambda: jax.debug_nans(True),
}


@one_of_each
@pytest.mark.parametrize(
  ('settings', 'dtype'),
  [
    pytest.param(list(SETTINGS), 'float32', id='all'),
    *(
      pytest.param(settings, dtype, marks=pytest.mark.slow)
      for settings, dtype in (
        ([], 'float32'),
        (['x64'], 'float32'),
        (['x64'], 'float64'),
        (list(SETTINGS)[1:], 'float32'),
        (list(SETTINGS)[1:], 'bfloat16'),
        (list(SETTINGS), 'float16'),
        (list(SETTINGS), 'float64'),
      )
    ),
  ],
)
def test_18_settings_of_jax(name, settings, dtype):
  """The same types come out, and the file holds what the view shows."""
  if name == 'error_corrected' and 'strict dtypes' in settings:
    if dtype != 'float32':
      pytest.skip('the model of the table multiplies weights with float32')
  with contextlib.ExitStack() as stack:
    for setting in settings:
      stack.enter_context(SETTINGS[setting]())
    params = compressors.params(jnp.dtype(dtype))
    comp, rate = selected(name, params), 0.05

    @jax.jit
    def step(latent, state):
      def objective(latent):
        wide = [x.astype(jnp.float32) for x in leaves(comp.view(latent, state))]
        loss = sum(jnp.sum((x - 0.7) ** 2) for x in wide)
        return loss + comp.penalty(latent, state)

      grads = jax.grad(objective)(latent)
      latent = jax.tree.map(lambda l, g: l - rate * g, latent, grads)
      return comp.update(latent, state, grads)

    start = comp.init(params)
    end = start
    for _ in range(4):
      end = step(*end)
    view, encoded = comp.view(*end), comp.encode(*end)
    forms = lambda t: [(x.shape, x.dtype) for x in leaves(t)]
    assert forms(end) == forms(start)
    assert forms(view) == forms(params)
    decoded = jc.decode(jc.unpack(jc.pack(encoded)).tree)
    assert forms(decoded) == forms(params)
    if not compressors.entry(name, compressors.kernels()).hardens:
      for a, b in zip(leaves(decoded), leaves(view), strict=True):
        np.testing.assert_array_equal(a, b)
