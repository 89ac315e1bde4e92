import digits_net
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.base import Leaf
from jcompress.prune.variational_dropout import kl_log_uniform, log_alpha

W = jnp.array([[0.5, -2.0, 0.0], [1.5, 0.001, 0.25]])


def test_divergence_has_the_known_values():
  got = kl_log_uniform(jnp.array([-3.0, 0.0, 3.0, 8.0]))
  want = [2.115590, 0.431239, 0.025420, 0.000168]
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_divergence_approximates_the_integral():
  # KL = E log|e| - log(alpha) / 2 + const, e normal of mean 1, variance alpha.
  quantiles = (np.arange(400_000) + 0.5) / 400_000
  normal = np.asarray(jax.scipy.stats.norm.ppf(jnp.asarray(quantiles)))
  mean_log = lambda e: np.mean(np.log(np.abs(e)))
  x = np.linspace(-6, 6, 13)
  exact = [mean_log(1 + np.exp(a / 2) * normal) - a / 2 for a in x]
  exact = np.array(exact) - mean_log(normal)
  np.testing.assert_allclose(kl_log_uniform(jnp.float32(x)), exact, atol=0.01)


def test_log_alpha_is_that_of_the_ratio_within_its_ends():
  mean = jnp.array([1.0, 0.1, 0.0, 100.0])
  got = log_alpha(mean, jnp.log(jnp.array([0.5, 0.02, 1.0, 1e-3])))
  np.testing.assert_allclose(got, [np.log(0.5), np.log(2), 8, -8], rtol=1e-5)


def test_penalty_is_the_divergence_of_the_weights_that_live():
  comp = jc.variational_dropout(50, strength=0.4, log_variance=-2.0)
  latent, state = comp.init(W)
  live = np.asarray(W[W != 0])
  x = jnp.float32(np.clip(-2 - np.log(live**2 + 1e-8), -8, 8))
  want = 0.4 / 50 * np.sum(kl_log_uniform(x))
  np.testing.assert_allclose(comp.penalty(latent, state), want, rtol=1e-5)


def test_gradient_of_the_penalty_is_that_of_its_formula():
  comp = jc.variational_dropout(1, log_variance=-3.0)
  latent, state = comp.init(W)

  def plain(latent):
    kl = kl_log_uniform(log_alpha(*latent.value))
    return jnp.sum(jnp.where(W != 0, kl, 0))

  got = jax.grad(lambda l: comp.penalty(l, state))(latent)
  got, want = got.value, jax.grad(plain)(latent).value
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
  assert (got.log_variance[0, :2] < 0).all() and got.log_variance[0, 2] == 0


def test_divergence_is_refreshed_in_each_third_call():
  comp = jc.variational_dropout(1, every=3)
  latent, state = comp.init(W)
  mean, log_variance = latent.value
  moved = Leaf(latent.value._replace(log_variance=log_variance + 2))
  penalties = []
  for _ in range(4):
    _, state = comp.update(moved, state, latent)
    penalties.append(float(comp.penalty(moved, state)))
  fresh = float(comp.penalty(moved, comp.init(W)[1]))
  want = float(
    jnp.sum(kl_log_uniform(log_alpha(mean, log_variance + 2))[W != 0])
  )
  np.testing.assert_allclose(penalties, [fresh, fresh, want, want], rtol=1e-6)


def test_a_kept_slope_follows_the_mean_but_not_beyond_all_slopes():
  comp = jc.variational_dropout(1, log_variance=-3.0)
  latent, state = comp.init(jnp.array([0.1]))
  slopes = lambda l: jax.grad(lambda l: comp.penalty(l, state))(l).value
  start = slopes(latent)
  moved = lambda by: slopes(Leaf(latent.value._replace(mean=jnp.array([by]))))
  np.testing.assert_allclose(moved(0.05).mean, start.mean / 2, rtol=1e-5)
  np.testing.assert_allclose(
    moved(0.05).log_variance, start.log_variance / 4, rtol=1e-5
  )
  x = jnp.linspace(-8, 8, 1001)
  each = jax.grad(lambda x: jnp.sum(kl_log_uniform(x)))(x)
  steepest = -moved(10.0).log_variance
  assert 0 <= steepest + each.min() < 0.01


def test_strength_may_be_a_schedule_of_the_calls():
  warm = optax.linear_schedule(0.0, 1.0, 4)
  comp = jc.variational_dropout(1, strength=warm)
  latent, state = comp.init(W)
  for call in range(3):
    want = call / 4 * jc.variational_dropout(1).penalty(latent, state)
    np.testing.assert_allclose(comp.penalty(latent, state), want, rtol=1e-6)
    _, state = comp.update(latent, state, latent)


def test_noise_has_the_mean_and_the_variance_of_the_latent():
  comp = jc.variational_dropout(1, log_variance=-2.0)
  latent, state = comp.init(jnp.full((100, 200), 0.5))
  view = np.asarray(comp.view(latent, state))
  np.testing.assert_allclose(view.mean(), 0.5, atol=5 * np.exp(-1) / 141)
  np.testing.assert_allclose(view.var(), np.exp(-2), rtol=0.05)
  _, later = comp.update(latent, state, latent)
  again = np.asarray(comp.view(latent, later))
  assert abs(np.mean((view - 0.5) * (again - 0.5))) < 5 * np.exp(-2) / 141


def test_gradient_reaches_means_and_deviations():
  comp = jc.variational_dropout(1, log_variance=-2.0)
  latent, state = comp.init(W)
  added = comp.view(latent, state) - W
  slope = jnp.arange(6.0).reshape(2, 3)
  grad = jax.grad(lambda l: jnp.vdot(slope, comp.view(l, state)))(latent)
  grad, live = grad.value, W != 0
  np.testing.assert_array_equal(grad.mean, jnp.where(live, slope, 0))
  # d(sigma eps) / d(log sigma^2) = sigma eps / 2.
  want = jnp.where(live, slope * added / 2, 0)
  np.testing.assert_allclose(grad.log_variance, want, rtol=1e-6)


def test_means_ship_where_there_is_less_noise_than_the_threshold():
  comp = jc.variational_dropout(1)
  latent, state = comp.init(W)
  shipped = comp.encode(latent, state)
  # exp(-10) / 0.001^2 is 45, beyond exp(3).
  np.testing.assert_array_equal(shipped.mask, [[1, 1, 0], [1, 0, 1]])
  np.testing.assert_array_equal(shipped.decode()[0], W[0])
  looser = jc.variational_dropout(1, threshold=4.0).encode(latent, state)
  assert looser.mask[1, 1]


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'examples': 0}, 'examples is 0'),
    ({'strength': -1.0}, 'strength is -1'),
    ({'threshold': 8.0}, 'threshold is 8'),
    ({'log_variance': float('nan')}, 'log_variance is nan'),
    ({'every': 0}, 'every is 0'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.variational_dropout(**{'examples': 1, **arguments})


def test_digits_are_told_apart_by_a_third_of_the_weights():
  examples = len(digits_net.digits()[0])
  dense = digits_net.train(jc.identity(), digits_net.start(), 300, rate=1e-2)
  comp = jc.variational_dropout(examples)
  sparse = digits_net.train(comp, dense.params, 500)
  assert sparse.density < 0.35
  assert sparse.error < dense.error + 1.5
