import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def index_and_sign(state, shape, k):
  """Which bucket each weight reads, and with which sign."""
  places = jc.encoded.Hashed(jnp.arange(1.0, k + 1), state.seed, shape).decode()
  return np.abs(places).astype(int) - 1, np.sign(places)


@pytest.mark.parametrize('shape', [(8, 6), (3, 3, 4, 5), (7,), ()])
def test_view_is_a_signed_bucket_and_its_gradient_the_signed_sum(shape):
  comp = jc.hash_weights(buckets=4)
  w, state = comp.init(normal(*shape))
  index, sign = index_and_sign(state, shape, 4)
  np.testing.assert_array_equal(comp.view(w, state), w[index] * sign)
  grad = normal(*shape, seed=1)
  got = jax.grad(lambda w: jnp.vdot(comp.view(w, state), grad))(w)
  want = [(np.asarray(grad) * sign)[index == k].sum() for k in range(4)]
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_trained_weights_are_met_in_least_squares():
  w = normal(8, 6)
  comp = jc.hash_weights(0.25, params='trained')
  latent, state = comp.init(w)
  assert latent.shape == (12,)
  gap = lambda l: ((comp.view(l, state) - w) ** 2).sum()
  np.testing.assert_allclose(jax.grad(gap)(latent), 0, atol=1e-5)


def test_drawn_weights_keep_their_variance():
  w = 0.05 * normal(200, 300)
  latent, state = jc.hash_weights(1 / 64).init(w)
  view = jc.hash_weights(1 / 64).view(latent, state)
  np.testing.assert_allclose(view.std(), 0.05, rtol=0.1)
  latent, _ = jc.hash_weights(1 / 64, params='trained').init(w)
  np.testing.assert_allclose(latent.std(), 0.05 / 8, rtol=0.1)


def test_a_bucket_that_no_weight_reads_stays_zero_and_finite():
  latent, state = jc.hash_weights(buckets=50).init(jnp.ones((2, 3)))
  index, _ = index_and_sign(state, (2, 3), 50)
  unread = np.setdiff1d(np.arange(50), index)
  assert len(unread) and not latent[unread].any()


def test_ratio_counts_buckets_of_each_array():
  sizes = {'a': (784, 100), 'b': (10, 10), 'c': (2, 2), 'd': (0, 4)}
  params = {k: jnp.ones(s) for k, s in sizes.items()}
  latent, _ = jc.hash_weights(1 / 64).init(params)
  got = {k: v.size for k, v in latent.items()}
  assert got == {'a': 1225, 'b': 2, 'c': 1, 'd': 1}


def test_arrays_of_one_shape_have_patterns_of_their_own():
  latent, state = jc.hash_weights(buckets=9).init([normal(9, 9)] * 2)
  a, b = (index_and_sign(s, (9, 9), 9)[0] for s in state)
  assert (a == b).mean() < 0.3


def test_the_seed_changes_the_pattern_and_fixes_it():
  view = lambda seed: jc.hash_weights(0.5, seed=seed)
  states = [view(s).init(normal(9, 9))[1] for s in (1, 1, 2)]
  a, b, c = (index_and_sign(s, (9, 9), 40)[0] for s in states)
  np.testing.assert_array_equal(a, b)
  assert (a == c).mean() < 0.2


def test_state_and_file_are_small():
  comp = jc.hash_weights(1 / 64)
  latent, state = comp.init({'w': normal(400, 300)})
  assert sum(x.nbytes for x in jax.tree.leaves(state)) == 4 * (1 + 400 + 300)
  data = jc.pack(comp.encode(latent, state))
  assert len(data) < 1875 * 4 + 200
  np.testing.assert_array_equal(
    jc.decode(jc.unpack(data).tree)['w'], comp.view(latent, state)['w']
  )


def test_hashed_weights_fit_a_hashed_target():
  comp = jc.hash_weights(buckets=10)
  latent, state = comp.init(normal(20, 30))
  target = comp.view(jnp.linspace(-1.0, 1.0, 10), state)
  x = normal(40, 20, seed=2)
  tx = optax.adam(0.1)
  opt_state = tx.init(latent)
  loss = lambda l: ((x @ (comp.view(l, state) - target)) ** 2).mean()
  step = jax.jit(lambda l, o: tx.update(jax.grad(loss)(l), o))
  for _ in range(150):
    updates, opt_state = step(latent, opt_state)
    latent = optax.apply_updates(latent, updates)
  np.testing.assert_allclose(latent, np.linspace(-1, 1, 10), atol=0.01)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'exactly one'),
    ({'ratio': 0.5, 'buckets': 3}, 'exactly one'),
    ({'ratio': 0.0}, 'ratio is 0.0'),
    ({'ratio': 1.5}, 'ratio is 1.5'),
    ({'buckets': 0}, 'buckets is 0'),
    ({'ratio': 0.5, 'seed': -1}, 'seed is -1'),
    ({'ratio': 0.5, 'seed': 2**32}, 'seed is 4294967296'),
    ({'ratio': 0.5, 'params': 'random'}, "params is 'random'"),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.hash_weights(**arguments)


def test_an_array_too_large_for_the_hash_is_refused():
  big = jax.ShapeDtypeStruct((2**16, 2**15), jnp.float32)
  with pytest.raises(ValueError, match='more than 2147483647 weights'):
    jax.eval_shape(jc.hash_weights(buckets=2).init, big)
