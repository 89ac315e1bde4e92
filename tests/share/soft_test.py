import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.share.soft import SoftShareLatent


def test_prior_is_that_of_the_sum_over_the_examples():
  w = {'a': jnp.array([0.3, -0.2, 0.0]), 'b': jnp.array([[0.5]])}
  of = lambda **arguments: jc.soft_share(components=3, **arguments)
  latent, state = of(examples=1).init(w)
  one = of(examples=1, strength=1.0).penalty(latent, state)
  many = of(examples=1000, strength=0.5).penalty(latent, state)
  np.testing.assert_allclose(many, one / 2000, rtol=1e-6)
  # By hand: three live weights, means 0, -0.2 and 0.5, all of deviation 1 / 8.
  x, means, d = np.array([0.3, -0.2, 0.5]), np.array([0, -0.2, 0.5]), 0.125
  pi = np.array([0.999, 0.0005, 0.0005])
  density = np.exp(-(((x[:, None] - means) / d) ** 2) / 2) / d
  p = density / np.sqrt(2 * np.pi) @ pi
  gamma = lambda a, b: b * 64 - (a - 1) * np.log(64)
  want = -np.log(p).sum() + gamma(5000, 2) + 2 * gamma(250, 0.1)
  np.testing.assert_allclose(one, want, rtol=1e-5)


def test_strength_follows_a_schedule_over_the_updates():
  w = jnp.array([0.3, -0.2, 0.5])
  fixed = jc.soft_share(10, components=3, strength=0.5)
  warm = jc.soft_share(
    10, components=3, strength=optax.linear_schedule(0.0, 0.5, 2)
  )
  latent, state = warm.init(w)
  full = fixed.penalty(latent, state)
  shares = []
  for _ in range(4):
    shares.append(float(warm.penalty(latent, state) / full))
    latent, state = warm.update(latent, state, latent)
  np.testing.assert_allclose(shares, [0, 0.5, 1, 1], rtol=1e-6)


def test_means_start_evenly_over_the_range():
  latent, _ = jc.soft_share(1, components=6).init(jnp.array([-1.0, 0.2, 3.0]))
  np.testing.assert_allclose(latent.mixture.means, [-1, 0, 1, 2, 3], atol=1e-6)


def test_trained_proportion_starts_where_the_fixed_one_is():
  w = jnp.array([-1.0, 0.5])
  arguments = {'components': 4, 'zero_proportion': 0.7, 'strength': 1.0}
  prior = []
  for beta in (None, (1.0, 1.0)):
    comp = jc.soft_share(1, zero_beta=beta, **arguments)
    prior.append(comp.penalty(*comp.init(w)))
  np.testing.assert_allclose(*prior, rtol=1e-5)


def test_labels_name_the_parts_of_any_latent():
  comp = jc.select('a', jc.soft_share(1, components=3))
  latent, _ = comp.init({'a': jnp.ones(2), 'b': jnp.ones(2)})
  labels = jc.soft_share_labels(latent)
  assert jax.tree.structure(labels) == jax.tree.structure(latent)
  assert sorted(jax.tree.leaves(labels)) == [
    'log_precisions',
    'log_proportions',
    'means',
    'weights',
    'weights',
  ]


def test_training_gathers_weights_and_shipping_keeps_them():
  key = jax.random.key(0)
  centers = jnp.array([-0.5, 0.0, 0.0, 0.0, 0.5])
  target = jnp.tile(centers, 60).reshape(20, 15)
  w = target + 0.05 * jax.random.normal(key, target.shape)
  comp = jc.soft_share(
    1, components=3, strength=0.01, zero_proportion=0.6, deviation=0.3
  )
  rates = {
    'weights': optax.adam(5e-3),
    'means': optax.adam(1e-3),
    'log_precisions': optax.adam(3e-2),
    'log_proportions': optax.adam(3e-2),
  }
  tx = optax.partition(rates, jc.soft_share_labels)
  latent, state = comp.init(w)
  opt_state = tx.init(latent)

  def loss(latent):
    fit = 0.5 * ((comp.view(latent, state) - w) ** 2).sum()
    return fit + comp.penalty(latent, state)

  @jax.jit
  def step(latent, opt_state):
    updates, opt_state = tx.update(jax.grad(loss)(latent), opt_state, latent)
    return optax.apply_updates(latent, updates), opt_state

  for _ in range(300):
    latent, opt_state = step(latent, opt_state)
  assert isinstance(latent, SoftShareLatent)
  shipped = jc.decode(jc.unpack(jc.pack(comp.encode(latent, state))).tree)
  np.testing.assert_array_equal(shipped == 0, target == 0)
  assert len(np.unique(shipped)) == 3
  np.testing.assert_allclose(shipped, target, atol=0.06)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'examples': 0}, 'examples is 0'),
    ({'components': 1}, 'components is 1'),
    ({'components': 258}, 'components is 258'),
    ({'strength': -1.0}, 'strength is -1.0'),
    ({'zero_proportion': 1.0}, 'zero_proportion is 1.0'),
    ({'deviation': 0.0}, 'deviation is 0.0'),
    ({'merge_below': -1.0}, 'merge_below is -1.0'),
    ({'zero_precision': (1.0, 2.0)}, 'zero_precision is'),
    ({'precision': (2.0, 0.0)}, 'precision is'),
    ({'zero_beta': (0.5, 2.0)}, 'zero_beta is'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.soft_share(**{'examples': 1, **arguments})
