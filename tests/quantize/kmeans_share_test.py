import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.quantize.kmeans import kmeans_1d

# The figure of Han et al. 2016, with its zeros nudged off zero.
W = jnp.array(
  [
    [2.09, -0.98, 1.48, 0.09],
    [0.05, -0.14, -1.08, 2.12],
    [-0.91, 1.92, 1e-9, -1.03],
    [1.87, 1e-9, 1.53, 1.49],
  ]
)
CODES = [[3, 0, 2, 1], [1, 1, 0, 3], [0, 3, 1, 0], [3, 1, 2, 2]]
GRAD = jnp.array(
  [
    [-0.03, -0.01, 0.03, 0.02],
    [-0.01, 0.01, -0.02, 0.12],
    [-0.01, 0.02, 0.04, 0.01],
    [-0.07, -0.02, 0.01, -0.02],
  ]
)


def test_codebook_and_gradients_of_the_papers_figure():
  comp = jc.kmeans_share(bits=2)
  centers, state = comp.init(W)
  np.testing.assert_allclose(centers, [-1, 0, 1.5, 2], atol=1e-6)
  np.testing.assert_array_equal(state.codes, np.array(CODES) + 1)
  grad = jax.grad(lambda c: jnp.vdot(comp.view(c, state), GRAD))(centers)
  np.testing.assert_allclose(grad, [-0.03, 0.04, 0.02, 0.04], atol=1e-6)
  tuned = comp.view(centers - grad, state)
  np.testing.assert_allclose(tuned[0], [1.96, -0.97, 1.48, -0.04], atol=1e-6)


def test_zeros_are_outside_the_k_and_stay_zero():
  w = jnp.where(jnp.abs(W) > 1, W, 0.0)
  comp = jc.kmeans_share(k=3)
  centers, state = comp.init(w)
  np.testing.assert_array_equal(state.codes == 0, w == 0)
  view = comp.view(centers + 0.25, state)
  np.testing.assert_array_equal(view == 0, w == 0)
  assert len(np.unique(view)) == 4


def test_members_of_a_center_move_as_one():
  comp = jc.kmeans_share(k=5)
  w = jax.random.normal(jax.random.key(0), (20, 30))
  latent, state = comp.init(w)
  tx = optax.adam(0.1)
  opt_state = tx.init(latent)
  target = jax.random.normal(jax.random.key(1), w.shape)
  for _ in range(5):
    grads = jax.grad(lambda l: ((comp.view(l, state) - target) ** 2).sum())(
      latent
    )
    updates, opt_state = tx.update(grads, opt_state, latent)
    latent = optax.apply_updates(latent, updates)
  view = np.asarray(comp.view(latent, state))
  for code in range(1, 6):
    assert len(np.unique(view[state.codes == code])) == 1
  assert not np.allclose(np.unique(view), np.unique(comp.view(*comp.init(w))))


def test_traced_init_equals_the_concrete_one():
  w = jax.random.normal(jax.random.key(0), (40, 30))
  comp = jc.kmeans_share(k=7)
  for a, b in zip(
    jax.tree.leaves(comp.init(w)),
    jax.tree.leaves(jax.jit(comp.init)(w)),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('start', ['linear', 'density', 'random'])
def test_start_and_seed_reach_kmeans(start):
  w = jax.random.normal(jax.random.key(0), (500,))
  centers, _ = jc.kmeans_share(k=4, start=start, seed=3).init(w)
  want = kmeans_1d(np.asarray(w), 4, start=start, seed=3).centers
  np.testing.assert_array_equal(centers, want)


def test_codes_take_two_bytes_only_where_they_must():
  w = jnp.linspace(1.0, 2.0, 1000)
  codes = lambda **size: jc.kmeans_share(**size).init(w)[1].codes
  assert codes(k=255).dtype == jnp.uint8 and codes(k=255).max() == 255
  assert codes(bits=8).dtype == jnp.uint16 and codes(bits=8).max() == 256


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'exactly one'),
    ({'bits': 2, 'k': 4}, 'exactly one'),
    ({'bits': 0}, 'bits is 0'),
    ({'bits': 16}, 'bits is 16'),
    ({'k': 0}, 'k is 0'),
    ({'k': 65536}, 'k is 65536'),
    ({'k': 2, 'start': 'forgy'}, "start is 'forgy'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.kmeans_share(**arguments)


def test_a_pruned_weight_with_more_than_256_codes_survives_the_file():
  w = jax.random.normal(jax.random.key(0), (100, 60))
  w = jnp.where(jnp.abs(w) > 1, w, 0)
  comp = jc.kmeans_share(bits=8)
  latent, state = comp.init(w)
  assert state.codes.max() == 256
  read = jc.unpack(jc.pack(comp.encode(latent, state))).tree
  np.testing.assert_array_equal(jc.decode(read), comp.view(latent, state))
