import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.binarize.loss_aware_ternary import (
  loss_aware_levels,
  loss_aware_ternarize,
  nearest_linear,
  nearest_power,
)

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])
D = jnp.array([1, 4, 0.5, 2, 0.25, 1])


def settled(comp, w, d):
  """What a compressor shows of `w` once its curvature is `d`."""
  latent, state = comp.init(w)
  state = state._replace(moment=d**2)
  latent, state = comp.update(latent, state, jnp.zeros_like(w))
  return np.asarray(comp.view(latent, state))


def test_exact_ternary_of_known_numbers():
  comp = loss_aware_ternarize(clip=False, b2=0.0)
  latent, state = comp.init(W)
  # With b2 = 0 the moment is that of the last gradient.
  latent, state = comp.update(latent, state, D)
  want = 0.7294118 * np.array([0, -1, 0, 0, 1, 0])
  np.testing.assert_allclose(comp.view(latent, state), want, rtol=1e-6)


def test_before_the_first_gradient_it_is_the_best_ternary():
  comp = loss_aware_ternarize()
  want = 0.95 * np.array([0, -1, 0, 0, 1, 0])
  np.testing.assert_allclose(comp.view(*comp.init(W)), want, rtol=1e-6)


def test_approximate_ternary_starts_from_the_codes_before():
  comp = loss_aware_ternarize(solver='approximate', clip=False, b2=0.0)
  latent, state = comp.init(W)
  state = state._replace(codes=(jnp.sign(W) + 1).astype(jnp.uint8))
  latent, state = comp.update(latent, state, D)
  want = 0.7294118 * np.array([0, -1, 0, 0, 1, 0])
  np.testing.assert_allclose(comp.view(latent, state), want, rtol=1e-6)


def test_approximate_ternary_starts_with_the_threshold_of_the_paper():
  # Beyond 0.7 of the mean lie 0.3, 0.7, 1.2: 0.7333, half of it drops 0.3.
  comp = loss_aware_ternarize(solver='approximate')
  want = 0.95 * np.array([0, -1, 0, 0, 1, 0])
  np.testing.assert_allclose(comp.view(*comp.init(W)), want, rtol=1e-6)


@pytest.mark.parametrize('solver', ['exact', 'approximate'])
def test_two_scales_fit_each_sign_by_itself(solver):
  comp = loss_aware_ternarize(scales=2, solver=solver, clip=False, b2=0.0)
  latent, state = comp.init(W)
  latent, state = comp.update(latent, state, D)
  view = np.asarray(comp.view(latent, state))
  up = loss_aware_ternarize(solver=solver, clip=False, b2=0.0)
  one, s = up.init(jnp.maximum(W, 0))
  one, s = up.update(one, s, D)
  np.testing.assert_allclose(np.maximum(view, 0), up.view(one, s), rtol=1e-6)
  assert len(set(np.abs(view))) == 3


@pytest.mark.parametrize(
  'comp',
  [
    loss_aware_ternarize(solver='approximate', scales=2),
    loss_aware_levels(3),
  ],
)
def test_codes_that_are_all_zero_start_anew(comp):
  latent, state = comp.init(-jnp.abs(W))
  state = state._replace(
    codes=jnp.full_like(state.codes, len(state.centers) // 2)
  )
  latent, state = comp.update(jnp.abs(W), state, W)
  assert (comp.view(latent, state) > 0).any()


def brute_force(w, d, levels):
  best = np.inf
  for codes in itertools.product(levels, repeat=len(w)):
    b = np.array(codes)
    mass = (d * b * b).sum()
    a = max((d * b * w).sum() / mass, 0) if mass else 0
    best = min(best, (d * (w - a * b) ** 2).sum())
  return best


@pytest.mark.parametrize('spacing', ['linear', 'log'])
def test_levels_fit_almost_as_well_as_brute_force(spacing):
  comp = loss_aware_levels(3, spacing=spacing, clip=False, b2=0.0)
  third = [1 / 3, 2 / 3, 1] if spacing == 'linear' else [0.25, 0.5, 1]
  levels = [-v for v in third] + [0.0] + third
  run = jax.jit(lambda w, d: comp.view(*comp.update(*comp.init(w), d)))
  ratios = []
  for seed in range(6):
    rng = np.random.default_rng(seed)
    w, d = rng.normal(size=4), rng.uniform(0.1, 3, 4)
    view = np.asarray(run(jnp.float32(w), jnp.float32(d)), np.float64)
    error, best = (d * (w - view) ** 2).sum(), brute_force(w, d, levels)
    assert error >= best * (1 - 1e-5)
    ratios.append(error / (d * w * w).sum())
  assert max(ratios) < 0.15


def test_two_bits_are_ternary():
  ternary = loss_aware_ternarize(solver='approximate', clip=False)
  for spacing in ('linear', 'log'):
    comp = loss_aware_levels(2, spacing=spacing, clip=False)
    start = ternary.init(W)[1].codes
    latent, state = comp.init(W)
    np.testing.assert_allclose(
      settled(comp, W, D), settled(ternary, W, D), rtol=1e-6
    )
    assert state.codes.shape == start.shape


@pytest.mark.parametrize('bits', [2, 3, 5])
def test_nearest_codes_are_the_nearest(bits):
  x = jnp.linspace(-1.6, 1.6, 1001)
  count = 2 ** (bits - 1) - 1
  for nearest, positive in (
    (nearest_linear, np.arange(1, count + 1) / count),
    (nearest_power, 2.0 ** -np.arange(count)),
  ):
    levels = np.concatenate([-positive, [0], positive])
    best = np.abs(np.asarray(x)[:, None] - levels).min(-1)
    np.testing.assert_allclose(np.abs(x - nearest(x, count)), best, atol=1e-6)


@pytest.mark.parametrize('spacing', ['linear', 'log'])
def test_more_bits_fit_better(spacing):
  w = jax.random.normal(jax.random.key(0), (40, 30))
  errors = []
  for bits in (2, 3, 4):
    comp = loss_aware_levels(bits, spacing=spacing)
    view = comp.view(*comp.init(w))
    assert len(np.unique(view)) == 2**bits - 1
    errors.append(float(((w - view) ** 2).mean()))
  assert errors[0] > 1.5 * errors[1] > 2 * errors[2]


def test_gradients_pass_unchanged_and_the_moment_is_adams():
  comp, tx = loss_aware_ternarize(), optax.adam(0.01)
  latent, state = comp.init(W)
  opt_state = tx.init(latent)
  for i in range(3):
    g = jnp.sin(i + jnp.arange(6.0))
    grads = jax.grad(lambda l, s=state, g=g: jnp.vdot(comp.view(l, s), g))(
      latent
    )
    np.testing.assert_array_equal(grads, g)
    updates, opt_state = tx.update(grads, opt_state, latent)
    latent, state = comp.update(latent + updates, state, grads)
  np.testing.assert_array_equal(state.moment, opt_state[0].nu)


def test_the_file_holds_the_codes_at_their_entropy():
  w = jax.random.normal(jax.random.key(0), (100, 80))
  comp = loss_aware_ternarize()
  data = jc.pack(comp.encode(*comp.init(w)))
  assert len(data) < 1.6 * w.size / 8 + 200


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: loss_aware_ternarize(solver='sort'), "solver is 'sort'"),
    (lambda: loss_aware_ternarize(scales=3), 'scales is 3'),
    (lambda: loss_aware_ternarize(b2=1.0), 'b2 is 1.0'),
    (lambda: loss_aware_levels(1), 'bits is 1'),
    (lambda: loss_aware_levels(6, spacing='log'), '2 .. 5'),
    (lambda: loss_aware_levels(3, spacing='even'), "spacing is 'even'"),
  ],
)
def test_bad_arguments_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
