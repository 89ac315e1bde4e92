import functools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import monks
import numpy as np
import pytest
from hypothesis import given
from scipy.optimize import minimize

import jcompress as jc
from jcompress.prune.obs import (
  inverse_hessian,
  obs_prune,
  obs_saliency,
  remove_weights,
)

H = np.array([[3.0, -1, 0, -1], [-1, 8, 8, 7], [0, 8, 13, 8], [-1, 7, 8, 9]])
W = np.array([-1.25, -1.25, -1, 1.5])


def increase(hessian, change):
  return change @ hessian @ change / 2


def random_problem(seed, n=6):
  rng = np.random.default_rng(seed)
  x = rng.standard_normal((3 * n, n))
  return x.T @ x / len(x), rng.standard_normal(n)


def test_magnitude_obd_and_obs_each_remove_another_weight():
  inverse = np.linalg.inv(H)
  assert np.abs(W).argmin() == 2
  assert (np.diag(H) * W**2 / 2).argmin() == 0
  saliency = obs_saliency(W, inverse)
  np.testing.assert_allclose(
    saliency, [2.058995, 1.508990, 2.136364, 2.964953], atol=1e-6
  )
  for q, zeroed in enumerate([2.34375, 6.25, 6.5, 10.125]):
    w, _, cost = remove_weights(W, inverse, np.array([q]))
    assert cost == pytest.approx(saliency[q])
    assert increase(H, w - W) == pytest.approx(cost)
    assert increase(H, np.where(np.arange(4) == q, W, 0)) == zeroed
  w, mask = obs_prune(jnp.asarray(W), inverse, sparsity=0.25)
  np.testing.assert_array_equal(mask, [True, False, True, True])
  np.testing.assert_allclose(w, [-1.027397, 0, -1.410959, 0.917808], atol=1e-6)


def test_the_inverse_shrinks_with_every_removal():
  w, rest, _ = remove_weights(W, np.linalg.inv(H), np.array([1]))
  np.testing.assert_allclose(
    rest,
    [
      [0.363014, 0, -0.054795, 0.089041],
      [0, 0, 0, 0],
      [-0.054795, 0, 0.178082, -0.164384],
      [0.089041, 0, -0.164384, 0.267123],
    ],
    atol=1e-6,
  )
  np.testing.assert_allclose(
    obs_saliency(w, rest), [1.453864, np.inf, 5.589568, 1.576747], atol=1e-6
  )
  # The inverse of the full Hessian would remove weight 3 at a cost of 3.979893.
  w, mask = obs_prune(jnp.asarray(W), np.linalg.inv(H), sparsity=0.5)
  np.testing.assert_array_equal(mask, [False, False, True, True])
  np.testing.assert_allclose(w, [0, 0, -1.566038, 1.169811], atol=1e-6)
  assert increase(H, np.asarray(w) - W) == pytest.approx(2.962854, abs=1e-5)


def test_three_weights_to_the_last_one():
  hessian = np.array([[4.0, 2, 0], [2, 3, 1], [0, 1, 2]])
  start = np.array([1, 0.6, -0.5])
  inverse = np.linalg.inv(hessian)
  np.testing.assert_allclose(obs_saliency(start, inverse), [1.2, 0.27, 0.1875])
  w, rest, first = remove_weights(start, inverse, np.array([2]))
  np.testing.assert_allclose(w, [1.125, 0.35, 0])
  np.testing.assert_allclose(rest[:2, :2], [[0.375, -0.25], [-0.25, 0.5]])
  np.testing.assert_allclose(obs_saliency(w, rest), [1.6875, 0.1225, np.inf])
  w, _, second = remove_weights(w, rest, np.array([1]))
  np.testing.assert_allclose(w, [1.3, 0, 0], atol=1e-12)
  assert first + second == pytest.approx(0.31)


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_removing_jointly_one_by_one_and_refitting_agree(seed, count):
  hessian, start = random_problem(seed)
  inverse = np.linalg.inv(hessian)
  chosen = np.random.default_rng(seed).permutation(6)[:count]
  joint, rest, cost = remove_weights(start, inverse, chosen)
  w, g, total = start, inverse, 0.0
  for q in chosen:
    w, g, one = remove_weights(w, g, np.array([q]))
    total += one
  kept = np.setdiff1d(np.arange(6), chosen)
  refit = np.linalg.solve(hessian[np.ix_(kept, kept)], hessian[kept] @ start)
  np.testing.assert_allclose(joint[kept], refit, rtol=1e-7, atol=1e-8)
  np.testing.assert_allclose(joint, w, rtol=1e-7, atol=1e-8)
  np.testing.assert_allclose(rest, g, rtol=1e-7, atol=1e-8)
  np.testing.assert_allclose(
    rest[np.ix_(kept, kept)],
    np.linalg.inv(hessian[np.ix_(kept, kept)]),
    rtol=1e-7,
    atol=1e-8,
  )
  assert cost == pytest.approx(total)
  assert cost == pytest.approx(increase(hessian, joint - start))


@given(st.integers(0, 10**6))
def test_the_first_removal_is_the_best_of_all(seed):
  hessian, start = random_problem(seed)
  inverse = np.linalg.inv(hessian)
  w, _ = obs_prune(jnp.asarray(start), inverse, sparsity=1 / 6)
  costs = [remove_weights(start, inverse, np.array([q]))[2] for q in range(6)]
  got = increase(hessian, np.asarray(w, np.float64) - start)
  assert got == pytest.approx(min(costs), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize('outputs', [(), (3,)])
@pytest.mark.parametrize('examples', [50, 200, 3])
def test_the_recursion_inverts_the_damped_hessian(examples, outputs):
  x = np.random.default_rng(0).standard_normal((examples, *outputs, 4))
  flat = x.reshape(-1, 4)
  want = np.linalg.inv(flat.T @ flat / examples + 1e-4 * np.eye(4))
  got = inverse_hessian(x, 1e-4)
  np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-10)
  np.testing.assert_array_equal(got, got.T)


def test_each_step_of_the_recursion_is_the_papers():
  x = np.random.default_rng(1).standard_normal((5, 3))
  g = np.eye(3) / 0.01
  for row in x:
    g = g - np.outer(g @ row, row @ g) / (5 + row @ g @ row)
  np.testing.assert_allclose(inverse_hessian(x, 0.01), g, rtol=1e-10)


def test_criteria_end_the_pruning():
  hessian, start = random_problem(3)
  inverse, w = np.linalg.inv(hessian), jnp.asarray(start)
  kept = lambda **criteria: int(obs_prune(w, inverse, **criteria)[1].sum())
  costs, rest = [], (start, inverse)
  for _ in range(6):
    q = obs_saliency(*rest).argmin()
    *rest, cost = remove_weights(*rest, np.array([q]))
    costs.append(cost)
  assert kept(sparsity=0.5) == 3 and kept(sparsity=1) == 0
  assert kept(max_increase=sum(costs[:4]) + 1e-4) == 2
  assert kept(max_increase=sum(costs[:4]) - 1e-4) == 3
  assert kept(max_increase=0) == 6
  assert kept(accept=lambda p: (p != 0).sum() >= 4) == 4
  assert kept(sparsity=0.2, accept=lambda p: (p != 0).sum() >= 2) == 5
  assert kept(sparsity=0.9, together=2) == 1


def test_zeros_stay_and_exempt_entries_adjust():
  hessian, start = random_problem(4)
  params = {
    'bias': jnp.array([0.0, start[1]]),
    'kernel': jnp.array([[start[2], 0.0], start[4:]]),
  }
  prunable = {'bias': np.zeros(2, bool), 'kernel': np.ones((2, 2), bool)}
  inverse = np.linalg.inv(hessian)
  w, mask = obs_prune(params, inverse, sparsity=1 / 3, prunable=prunable)
  assert mask['bias'].all() and w['bias'][0] != 0
  assert w['kernel'][0, 1] == 0 and not mask['kernel'][0, 1]
  assert (~mask['kernel']).sum() == 2
  comp = jc.with_mask(mask)
  np.testing.assert_array_equal(comp.view(*comp.init(w))['kernel'], w['kernel'])
  flat = np.array([0, *start[1:3], 0, *start[4:]])
  kept = np.flatnonzero(np.asarray([True, True, *mask['kernel'].ravel()]))
  first = flat - np.linalg.inv(hessian)[:, [3]] @ [0.0]
  refit = np.linalg.solve(hessian[np.ix_(kept, kept)], hessian[kept] @ first)
  got = np.array([*w['bias'], *w['kernel'].ravel()])[kept]
  np.testing.assert_allclose(got, refit, rtol=1e-5)


def network(w, x, hidden):
  """One hidden layer of sigmoids and a sigmoid output, from flat weights."""
  inputs = x.shape[-1]
  kernel, bias, out, last = jnp.split(
    w, [inputs * hidden, (inputs + 1) * hidden, (inputs + 2) * hidden]
  )
  h = jax.nn.sigmoid(x @ kernel.reshape(inputs, hidden) + bias)
  return jax.nn.sigmoid(h @ out + last[0])


@functools.partial(jax.jit, static_argnames='hidden')
def loss_and_gradient(w, x, y, decay, hidden):
  def loss(w):
    error = jnp.mean((network(w, x, hidden) - y) ** 2)
    return (error + decay * jnp.sum(w**2)) / 2

  return jax.value_and_grad(loss)(w)


@functools.partial(jax.jit, static_argnames='hidden')
def jacobian(w, x, hidden):
  return jax.jacrev(network)(w, x, hidden)


@functools.partial(jax.jit, static_argnames='hidden')
def right(w, x, y, hidden):
  """How many answers are right."""
  return jnp.sum((network(w, x, hidden) > 0.5) == (y > 0.5))


def trained(x, y, hidden, decay, seed):
  start = np.random.default_rng(seed).normal(
    size=(x.shape[1] + 2) * hidden + 1, scale=0.5
  )
  result = minimize(
    lambda w: jax.device_get(loss_and_gradient(w, x, y, decay, hidden)),
    start,
    jac=True,
    method='L-BFGS-B',
    options={'maxiter': 3000, 'maxfun': 4000},
  )
  return jnp.asarray(result.x)


def pruned_by_magnitude(w, accept):
  for q in jnp.argsort(jnp.abs(w)):
    trial = w.at[q].set(0)
    if not accept(trial):
      break
    w = trial
  return w


@pytest.mark.parametrize(
  ('problem', 'hidden', 'decay', 'seed', 'before', 'after', 'train', 'test'),
  [
    pytest.param(1, 3, 3e-4, 10, 58, 14, 124, 432, marks=pytest.mark.slow),
    pytest.param(2, 2, 3e-4, 3, 39, 15, 169, 432, marks=pytest.mark.slow),
    (3, 2, 1e-3, 2, 39, 4, 114, 420),  # 93.4 and 97.2 %
  ],
)
def test_monks_need_no_more_weights_than_in_the_paper(
  problem, hidden, decay, seed, before, after, train, test
):
  data = monks.load(problem)
  with jax.enable_x64(True):
    w = trained(data.train_x, data.train_y, hidden, decay, seed)
    accept = lambda p: right(p, data.train_x, data.train_y, hidden) >= train
    assert len(w) == before and accept(w)
    assert right(w, data.test_x, data.test_y, hidden) == test
    inverse = lambda p: inverse_hessian(
      jacobian(p, data.train_x, hidden), alpha=1e-4
    )
    small, mask = obs_prune(w, inverse, accept=accept)
    by_magnitude = pruned_by_magnitude(w, accept)
    assert mask.sum() == (small != 0).sum() <= after
    assert (by_magnitude != 0).sum() > mask.sum()
    assert accept(small)
    assert right(small, data.test_x, data.test_y, hidden) == test


def test_xor_keeps_its_answers_without_training():
  x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
  y = np.array([0, 1, 1, 0])
  with jax.enable_x64(True):
    w = trained(x, y, hidden=2, decay=1e-5, seed=1)
    inverse = lambda p: inverse_hessian(jacobian(p, x, 2), 1e-6)
    small, mask = obs_prune(w, inverse, sparsity=1 / 9)
    error = lambda w: np.abs(network(w, x, 2) - y).max()
    assert mask.sum() == 8
    assert error(w) < 0.1 and error(small) < 0.3
    assert error(w.at[jnp.abs(w).argmin()].set(0)) > 0.5


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({}, 'Give sparsity, max_increase or accept'),
    ({'sparsity': 50}, 'sparsity is 50'),
    ({'max_increase': -1.0}, 'max_increase is -1'),
    ({'max_increase': np.nan}, 'max_increase is nan'),
    ({'sparsity': 0.5, 'together': 0}, 'together is 0'),
    (
      {'sparsity': 0.5, 'prunable': np.arange(4) == 0},
      'removes 2 of 4 entries, but only 1 are prunable',
    ),
    ({'sparsity': 0.5, 'prunable': np.ones(3, bool)}, r'\(3,\).*\(4,\)'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    obs_prune(jnp.asarray(W), np.linalg.inv(H), **arguments)


@pytest.mark.parametrize(
  ('inverse', 'message'),
  [
    (np.eye(3), r'is \[3, 3\].*must be \[4, 4\]'),
    (np.full((4, 4), np.nan), 'NaN'),
    (-np.eye(4), '-1 on its diagonal'),
    (np.triu(np.ones((4, 4))), 'not symmetric'),
    # An indefinite Hessian shows only after a removal.
    (
      np.array([[1.0, 2, 0, 0], [2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
      'more damping',
    ),
  ],
)
def test_an_inverse_that_is_none_is_refused(inverse, message):
  with pytest.raises(ValueError, match=message):
    obs_prune(jnp.asarray(W), inverse, sparsity=1.0)


def test_bad_gradients_and_weights_are_refused():
  with pytest.raises(ValueError, match='alpha is 0'):
    inverse_hessian(np.ones((3, 2)), 0.0)
  with pytest.raises(ValueError, match='NaN or inf'):
    inverse_hessian(np.full((3, 2), np.nan))
  with pytest.raises(ValueError, match='NaN or inf in .* at obs_prune'):
    obs_prune({'a': jnp.full(4, jnp.inf)}, np.eye(4), sparsity=0.5)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16, jnp.float32])
def test_keeps_dtypes_and_takes_empty_leaves(dtype):
  params = {'a': jnp.asarray(W, dtype), 'b': jnp.zeros((0, 4), dtype)}
  w, mask = obs_prune(params, np.linalg.inv(H), sparsity=0.25)
  assert w['a'].dtype == w['b'].dtype == dtype and mask['b'].shape == (0, 4)
  np.testing.assert_array_equal(w['a'] != 0, mask['a'])
