import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from jcompress.prune import exact_rows
from jcompress.prune.exact_rows import eliminate, refit, select_cheapest
from jcompress.prune.obs import obs_saliency, remove_weights


def problem(seed, outputs=3, inputs=8):
  rng = np.random.default_rng(seed)
  x = rng.standard_normal((4 * inputs, inputs)) + 0.5
  return x.T @ x / len(x), rng.standard_normal((outputs, inputs))


def factor(hessian):
  return np.linalg.cholesky(np.linalg.inv(hessian)).T


def one_by_one(row, hessian, block=1):
  """The order and the costs, from the joint formula in each step."""
  w, g = row, np.linalg.inv(hessian)
  left, order, loss = list(range(len(row) // block)), [], []
  members = lambda b: np.arange(b * block, (b + 1) * block)
  for _ in range(len(left)):
    costs = [remove_weights(w, g, members(b))[2] for b in left]
    b = left.pop(int(np.argmin(costs)))
    w, g, cost = remove_weights(w, g, members(b))
    order.append(b)
    loss.append(cost)
  return order, loss


@given(st.integers(0, 10**6), st.sampled_from([1, 2, 4]))
def test_each_row_is_the_brain_surgeons(seed, block):
  hessian, rows = problem(seed)
  order, loss = eliminate(rows, factor(hessian), block=block)
  for i, row in enumerate(rows):
    want = one_by_one(row, hessian, block)
    np.testing.assert_array_equal(order[i], want[0])
    np.testing.assert_allclose(loss[i], want[1], rtol=1e-6)


@pytest.mark.parametrize('block', [1, 2])
@pytest.mark.parametrize('group', [None, (2, 4)])
def test_putting_off_and_batches_change_nothing(monkeypatch, block, group):
  hessian, rows = problem(0, outputs=7, inputs=40)
  group = group if block == 1 else None
  want = eliminate(rows, factor(hessian), group, block)
  for rank, batch in ((1, 1), (5, 3 * 40**2), (1000, 10**9)):
    monkeypatch.setattr(exact_rows, '_RANK', rank)
    monkeypatch.setattr(exact_rows, '_BATCH', batch)
    order, loss = eliminate(rows, factor(hessian), group, block)
    np.testing.assert_array_equal(order, want[0])
    np.testing.assert_allclose(loss, want[1], rtol=1e-8)


def test_a_group_keeps_its_last_weights():
  hessian, rows = problem(1)
  rows[0, :3] = 0
  order, loss = eliminate(rows, factor(hessian), group=(2, 4))
  assert order.shape == (3, 5)
  assert set(order[0, :3]) == {0, 1, 2} and not loss[0, :3].any()
  assert np.isfinite(loss[0]).all() and (order[0, 3:] >= 4).all()
  for i in (1, 2):
    assert (np.bincount(order[i, :4] // 4) == 2).all()
    assert np.isfinite(loss[i, :4]).all() and loss[i, 4] == np.inf


def test_the_cheapest_steps_of_all_rows_go():
  rows = np.ones((2, 3))
  order = np.array([[2, 0, 1], [1, 2, 0]])
  loss = np.array([[1.0, 5, 2], [3, 1, 1]])
  # Row 0 costs 1, 5, 5 and row 1 costs 3, 3, 3: a step needs those before it.
  gone = lambda **limits: select_cheapest(
    rows, order, loss, 1, **{'target': None, 'budget': np.inf} | limits
  ).astype(int)
  np.testing.assert_array_equal(gone(target=0), np.zeros((2, 3)))
  np.testing.assert_array_equal(gone(target=1), [[0, 0, 1], [0, 0, 0]])
  np.testing.assert_array_equal(gone(target=3), [[0, 0, 1], [0, 1, 1]])
  np.testing.assert_array_equal(gone(target=5), [[1, 0, 1], [1, 1, 1]])
  np.testing.assert_array_equal(gone(budget=4.9), [[0, 0, 1], [0, 1, 0]][:2])
  np.testing.assert_array_equal(gone(budget=6), [[0, 0, 1], [1, 1, 1]])
  assert gone().all()


def test_blocks_go_whole_and_zeros_do_not_count_twice():
  rows = np.array([[1.0, 0, 1, 1]])
  order, loss = np.array([[0, 1]]), np.array([[1.0, 2]])
  select = lambda target: select_cheapest(rows, order, loss, 2, target, np.inf)
  assert not select(1).any()
  np.testing.assert_array_equal(select(2), [[True, True, False, False]])
  np.testing.assert_array_equal(select(3), [[True, True, False, False]])
  assert select(4).all()


@given(st.integers(0, 10**6))
def test_refit_is_the_minimum_over_what_is_kept(seed):
  hessian, rows = problem(seed, inputs=5)
  for gone in itertools.product([False, True], repeat=5):
    mask = np.array([gone] * len(rows))
    new = refit(rows, mask, hessian)
    assert not new[mask].any()
    slope = (new - rows) @ hessian
    np.testing.assert_allclose(slope[~mask], 0, atol=1e-9)
    if not any(gone):
      np.testing.assert_array_equal(new, rows)


def test_greedy_is_seldom_far_from_the_best_pair():
  worse = []
  for seed in range(20):
    hessian, rows = problem(seed, outputs=1, inputs=6)
    order, loss = eliminate(rows, factor(hessian))
    inverse = np.linalg.inv(hessian)
    best = min(
      remove_weights(rows[0], inverse, np.array(pair))[2]
      for pair in itertools.combinations(range(6), 2)
    )
    worse.append(loss[0, :2].sum() / best)
    assert loss[0, 0] == pytest.approx(obs_saliency(rows[0], inverse).min())
  assert min(worse) > 1 - 1e-9 and np.median(worse) < 1 + 1e-9


@pytest.mark.parametrize('block', [1, 2])
def test_an_indefinite_inverse_is_refused(block):
  factor = np.zeros((4, 4))
  factor[0] = 1
  with pytest.raises(ValueError, match='outputs 0 .. 2 .*more damping'):
    eliminate(np.arange(1.0, 9).reshape(2, 4), factor, block=block)
