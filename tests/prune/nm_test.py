import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

# Two groups of four inputs of one output.
W = jnp.array([0.3, -0.1, 0.2, -0.4, 0.05, 0.6, -0.7, 0.01])[:, None]
MASK = np.array([1, 0, 0, 1, 0, 1, 1, 0])[:, None]


def brute_mask(w, n, m):
  """Masks of the columns of `w [in, out]`, one group after the other."""
  mask = np.zeros(w.shape, bool)
  for column in range(w.shape[1]):
    for start in range(0, len(w), m):
      group = np.abs(w[start : start + m, column])
      kept = np.argsort(-group, kind='stable')[:n]
      mask[start + kept, column] = True
  return mask


def test_mask_and_gradient_of_two_groups():
  comp = jc.nm_prune(2, 4)
  w, state = comp.init(W)
  np.testing.assert_array_equal(comp.view(w, state), W * MASK)
  loss = lambda w: comp.view(w, state).sum() + comp.penalty(w, state)
  want = [1, 0.99998, 1.00004, 1, 1.00001, 1, 1, 1.000002]
  np.testing.assert_allclose(jax.grad(loss)(w)[:, 0], want, atol=1e-7)


def test_without_strength_there_is_no_penalty():
  comp = jc.nm_prune(strength=0.0)
  assert comp.penalty(*comp.init(W)) == 0


@pytest.mark.parametrize(
  ('n', 'm', 'inputs'), [(2, 4, 8), (1, 3, 7), (4, 4, 5), (3, 5, 11), (1, 1, 2)]
)
def test_mask_is_that_of_sorted_groups(n, m, inputs):
  # Few values, so that there are ties.
  w = np.random.default_rng(0).integers(-3, 4, (inputs, 9))
  w = w.astype(np.float32)
  np.testing.assert_array_equal(
    jc.nm_mask(jnp.asarray(w), n, m), brute_mask(w, n, m)
  )


@pytest.mark.parametrize('axis', [-4, 1, 2, -1])
def test_groups_lie_along_any_axis_of_a_kernel(axis):
  w = jax.random.normal(jax.random.key(0), (3, 5, 8, 6))
  rows = np.moveaxis(np.asarray(w), axis, 0)
  want = brute_mask(rows.reshape(len(rows), -1), 2, 3).reshape(rows.shape)
  got = np.moveaxis(np.asarray(jc.nm_mask(w, 2, 3, axis=axis)), axis, 0)
  np.testing.assert_array_equal(got, want)


def test_zeros_at_init_stay_zero_and_take_no_place():
  w = W.at[3].set(0.0)
  comp = jc.nm_prune()
  latent, state = comp.init(w)
  view = comp.view(latent + jnp.where(w == 0, 9.0, 0.0), state)
  np.testing.assert_array_equal(view[:4, 0], np.float32([0.3, 0, 0.2, 0]))
  grad = jax.grad(lambda l: comp.view(l, state).sum())(latent)
  np.testing.assert_array_equal(grad[:, 0], [1, 1, 1, 0, 1, 1, 1, 1])


def test_a_pruned_weight_that_grows_comes_back():
  comp = jc.nm_prune()
  w, state = comp.init(W)
  view = comp.view(w.at[1].set(-0.5), state)
  np.testing.assert_array_equal(view[:4, 0], np.float32([0, -0.5, 0, -0.4]))


def test_training_ends_with_two_of_four_in_the_file():
  comp = jc.nm_prune(strength=0.01)
  target = jax.random.normal(jax.random.key(0), (16, 5))
  w, state = comp.init(jax.random.normal(jax.random.key(1), (16, 5)))
  tx = optax.sgd(0.1)
  opt_state = tx.init(w)

  def loss(w):
    return ((comp.view(w, state) - target) ** 2).sum() / 2 + comp.penalty(
      w, state
    )

  step = jax.jit(lambda w, o: tx.update(jax.grad(loss)(w), o))
  for _ in range(100):
    updates, opt_state = step(w, opt_state)
    w = optax.apply_updates(w, updates)
  shipped = jc.decode(jc.unpack(jc.pack(comp.encode(w, state))).tree)
  kept = np.asarray(shipped != 0).reshape(4, 4, 5).sum(1)
  np.testing.assert_array_equal(kept, 2)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'n': 0}, 'n=0, m=4'),
    ({'n': 5}, 'n=5, m=4'),
    ({'m': 65}, 'n=2, m=65'),
    ({'strength': -1.0}, 'strength is -1.0'),
    ({'strength': float('inf')}, 'strength is inf'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.nm_prune(**arguments)


def test_arrays_without_the_axis_are_refused():
  with pytest.raises(ValueError, match='no axis -2'):
    jc.nm_prune().init(jnp.ones(4))
  with pytest.raises(ValueError, match='no axis 2'):
    jc.nm_mask(jnp.ones((4, 4)), axis=2)
