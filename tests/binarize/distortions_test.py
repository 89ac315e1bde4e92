import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.binarize import distortions

X = jnp.array([-1.0, -0.6, -0.05, 0.1, 0.4, 1.0])
KEY = jax.random.key(0)


def many(distortion, x=X, count=20_000):
  keys = jax.random.split(KEY, count)
  return np.asarray(jax.jit(jax.vmap(lambda k: distortion(k, x)))(keys))


def mean_of(draws):
  """Means, and five of their standard errors."""
  return draws.mean(0), 5 * draws.std(0) / np.sqrt(len(draws)) + 1e-5


def test_rounding_gives_the_nearest_of_its_levels():
  for levels in (2, 3, 4, 5, 256):
    d = distortions.rounding(levels)
    got = np.asarray(d(KEY, X))
    grid = np.linspace(-1, 1, levels)
    best = np.abs(grid - np.asarray(X)[:, None]).min(-1)
    np.testing.assert_allclose(np.abs(got - X), best, atol=1e-6)
    assert set(got) <= set(np.float32(grid))


def test_power_lies_between_sign_and_identity():
  apply = lambda b, x=X: distortions.power(b)(KEY, x)
  np.testing.assert_array_equal(apply(1.0), X)
  np.testing.assert_allclose(apply(1e-6), jnp.sign(X), atol=1e-5)
  np.testing.assert_allclose(apply(2.0), X * jnp.abs(X), rtol=1e-6)
  ternary = jnp.array([-1.0, 0.0, 1.0])
  np.testing.assert_array_equal(apply(0.3, ternary), ternary)


@pytest.mark.parametrize(
  ('distortion', 'want'),
  [
    (distortions.added_noise(0.3), X),
    (distortions.multiplied_noise(0.5), X),
    (distortions.stochastic_signs(), X),
    (distortions.stochastic_projection(0.5), 1.25 * X * jnp.abs(X)),
    (distortions.stochastic_projection(1.0), X * jnp.abs(X)),
  ],
)
def test_means_of_random_distortions(distortion, want):
  mean, error = mean_of(many(distortion))
  assert (np.abs(mean - want) <= error).all()


def test_ranges_of_random_distortions():
  noise = many(distortions.added_noise(0.3))
  np.testing.assert_allclose(noise.std(0), 0.3, rtol=0.03)
  factor = many(distortions.multiplied_noise(0.5)) / X
  assert 0.5 <= factor.min() < 0.51 and 1.49 < factor.max() <= 1.5
  size = np.abs(many(distortions.stochastic_projection(0.5)) / X)
  assert 0.499 <= size.min() < 0.51 and 1.98 < size.max() <= 2.001


def test_noise_leaves_what_neurons_sum_unbiased():
  x = jax.random.normal(jax.random.key(1), (64,))
  w = jnp.where(jax.random.normal(jax.random.key(2), (64,)) > 0, 1.0, -1.0)
  sums = many(distortions.added_noise(0.2), w) @ np.asarray(x)
  mean, error = mean_of(sums[:, None])
  assert abs(mean - w @ x) <= error
  np.testing.assert_allclose(sums.var(), 0.04 * (x @ x), rtol=0.05)


def test_weights_are_distorted_on_the_scale_of_their_largest():
  w = jnp.array([0.5, -0.26, 0.1, 0.0])
  comp = jc.distort(distortions.rounding(5))
  latent, state = comp.init(w)
  np.testing.assert_allclose(comp.view(latent, state), [0.5, -0.25, 0, 0])
  one = jc.distort(distortions.rounding(5), scale=1.0)
  np.testing.assert_allclose(one.view(*one.init(w)), [0.5, -0.5, 0, 0])


def test_gradients_pass_unchanged_and_weights_are_clipped():
  comp = jc.distort(distortions.signs(), scale=0.5)
  latent, state = comp.init(jnp.array([0.5, -0.2, 3.0]))
  g = jnp.array([1.0, 2.0, -3.0])
  grad = jax.grad(lambda l: jnp.vdot(comp.view(l, state), g))(latent)
  np.testing.assert_array_equal(grad, g)
  latent, _ = comp.update(latent, state, g)
  np.testing.assert_array_equal(latent, jnp.array([0.5, -0.2, 0.5]))
  comp = jc.distort(distortions.signs())
  latent, _ = comp.update(*comp.init(jnp.array([0.5, -2.0])), g)
  np.testing.assert_array_equal(latent, [0.5, -1])


def test_stochastic_signs_on_scale_one_are_binary_connect():
  w = jax.random.normal(KEY, (50,))
  a = jc.distort(distortions.stochastic_signs(), scale=1.0, seed=3)
  b = jc.binary_connect(stochastic=True, seed=3)
  (x, s), (y, t) = a.init(w), b.init(w)
  for _ in range(3):
    np.testing.assert_array_equal(a.view(x, s), b.view(y, t))
    (x, s), (y, t) = a.update(x, s, w), b.update(y, t, w)


def test_another_distortion_may_ship():
  w = jax.random.normal(KEY, (40, 30))
  comp = jc.distort(distortions.stochastic_signs(), test=distortions.signs())
  encoded = comp.encode(*comp.init(w))
  largest = jnp.abs(w).max()
  np.testing.assert_array_equal(
    jc.decode(encoded), jnp.where(w > 0, largest, -largest)
  )
  assert len(jc.pack(encoded)) < 40 * 30 / 8 + 200


def test_draws_change_with_each_update():
  comp = jc.distort(distortions.added_noise(0.1))
  latent, state = comp.init(X)
  first = comp.view(latent, state)
  np.testing.assert_array_equal(first, comp.view(latent, state))
  _, state = comp.update(latent, state, X)
  assert (comp.view(latent, state) != first).all()


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: jc.distort(distortions.signs(), scale='mean'), "scale is 'mean'"),
    (lambda: jc.distort(distortions.signs(), scale=0.0), 'scale is 0.0'),
    (lambda: distortions.rounding(1), 'levels is 1'),
    (lambda: distortions.power(0.0), 'exponent is 0.0'),
    (lambda: distortions.added_noise(-1.0), 'deviation is -1.0'),
    (lambda: distortions.multiplied_noise(1.5), 'width is 1.5'),
    (lambda: distortions.stochastic_projection(0.0), 'gamma is 0.0'),
  ],
)
def test_bad_arguments_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
