import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

W = jnp.array([[0.3, -0.7, 0.05, -0.15, 1.2, -0.1]]).T  # one filter


def shown(w=W, *args, **options):
  comp = jc.ternary_weight(*args, **options)
  return comp.view(*comp.init(w))


def test_the_two_published_variants_of_known_numbers():
  layer, later = shown(), shown(W, 'filter')
  np.testing.assert_allclose(
    layer.ravel(), 0.7333333 * np.array([1, -1, 0, 0, 1, 0]), rtol=1e-6
  )
  np.testing.assert_allclose(((W - layer) ** 2).sum(), 0.4416667, rtol=1e-6)
  np.testing.assert_allclose(
    later.ravel(), 0.95 * np.array([0, -1, 0, 0, 1, 0]), rtol=1e-6
  )
  np.testing.assert_allclose(((W - later) ** 2).sum(), 0.25, rtol=1e-6)


def test_filters_have_their_own_thresholds():
  w = jnp.concatenate([W, 100 * W[::-1]], axis=1)
  got = shown(w, 'filter')
  np.testing.assert_allclose(got[:, :1], shown(W, 'filter'), rtol=1e-6)
  np.testing.assert_allclose(
    got[:, 1:], 100 * shown(W, 'filter')[::-1], rtol=1e-6
  )
  assert not shown(w, 'layer')[:, 0].any(), 'small next to the other filter'


@pytest.mark.parametrize('scope', ['layer', 'filter'])
def test_with_a_threshold_of_zero_it_is_the_binary_weight(scope):
  w = jax.random.normal(jax.random.key(0), (3, 3, 4, 5))
  binary = jc.binary_weight(scope, gradient='identity')
  np.testing.assert_allclose(
    shown(w, scope, factor=0.0), binary.view(*binary.init(w)), rtol=1e-6
  )


def test_gradients_pass_unchanged_except_for_zeros():
  comp = jc.ternary_weight()
  latent, state = comp.init(W.at[2].set(0))
  grad = jax.grad(lambda l: (comp.view(l, state) * W).sum())(latent)
  np.testing.assert_array_equal(grad, W.at[2].set(0))


def test_zeros_do_not_count_in_the_mean():
  w = jnp.concatenate([W, jnp.zeros((60, 1))])
  np.testing.assert_allclose(shown(w)[:6], shown(W), rtol=1e-6)


def test_the_file_is_the_entropy_of_the_codes_and_the_scales():
  w = jax.random.normal(jax.random.key(0), (3, 3, 40, 50))
  comp = jc.ternary_weight('filter')
  encoded = comp.encode(*comp.init(w))
  assert encoded.scale.size == 50
  assert encoded.bits() < 1.6 * w.size + 32 * 50
  assert len(jc.pack(encoded)) < encoded.bits() / 8 * 1.02 + 200
  np.testing.assert_array_equal(jc.decode(encoded), comp.view(*comp.init(w)))


def test_bad_arguments_are_refused():
  with pytest.raises(ValueError, match="scope is 'unit'"):
    jc.ternary_weight('unit')
  with pytest.raises(ValueError, match='factor is -0.1'):
    jc.ternary_weight(factor=-0.1)
