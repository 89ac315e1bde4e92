import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from jcompress.prune import column_blocks
from jcompress.prune.column_blocks import prune_columns
from jcompress.prune.exact_rows import refit


def problem(seed, outputs=5, inputs=24):
  rng = np.random.default_rng(seed)
  x = rng.standard_normal((4 * inputs, inputs)) + 0.5
  hessian = x.T @ x / len(x)
  return hessian, rng.standard_normal((outputs, inputs))


def factor(hessian):
  return np.linalg.cholesky(np.linalg.inv(hessian)).T


def literally(rows, hessian, gone):
  """Input by input, with a fresh inverse for the inputs from there on."""
  w = rows.copy()
  for i in range(w.shape[1]):
    g = np.linalg.inv(hessian[i:, i:])
    error = np.where(gone[:, i], w[:, i], 0) / g[0, 0]
    w[:, i:] -= np.outer(error, g[0])
    w[gone[:, i], i] = 0
  return w


@given(st.integers(0, 10**6))
def test_adjusts_as_with_an_inverse_for_each_input(seed):
  hessian, rows = problem(seed)
  w = prune_columns(rows, factor(hessian), sparsity=0.6)
  np.testing.assert_allclose(
    w, literally(rows, hessian, w == 0), rtol=1e-7, atol=1e-9
  )


@pytest.mark.parametrize('width', [4, 8, 64])
def test_the_width_changes_nothing_where_groups_decide(monkeypatch, width):
  hessian, rows = problem(0)
  want = prune_columns(rows, factor(hessian), group=(2, 4))
  monkeypatch.setattr(column_blocks, '_WIDTH', width)
  got = prune_columns(rows, factor(hessian), group=(2, 4))
  np.testing.assert_allclose(got, want, rtol=1e-9)
  np.testing.assert_allclose(
    got, literally(rows, hessian, got == 0), rtol=1e-7, atol=1e-9
  )


@pytest.mark.parametrize('block', [1, 2, 3])
@pytest.mark.parametrize('sparsity', [0.1, 0.5, 0.9, 1.0])
def test_each_width_gets_its_share(monkeypatch, block, sparsity):
  monkeypatch.setattr(column_blocks, '_WIDTH', 6)
  hessian, rows = problem(1)
  w = prune_columns(rows, factor(hessian), sparsity, block=block)
  target = round(sparsity * w.size)
  assert target - block < (w == 0).sum() <= target
  for part in np.split(w == 0, 4, axis=1):
    assert abs(part.sum() - target / 4) <= block
  if block == 1:
    assert (w == 0).sum() == target


def test_pruning_only_the_first_input_is_exact():
  hessian, rows = problem(2)
  rows[:, 0] *= 1e-6
  w = prune_columns(rows, factor(hessian), sparsity=1 / 24)
  assert not w[:, 0].any() and w[:, 1:].all()
  want = refit(rows, w == 0, hessian)
  np.testing.assert_allclose(w, want, rtol=1e-7)


@pytest.mark.parametrize('share', [0.3, 0.8])
def test_zeros_count_and_stay(monkeypatch, share):
  monkeypatch.setattr(column_blocks, '_WIDTH', 8)
  hessian, rows = problem(3)
  zero = np.random.default_rng(0).random(rows.shape) < share
  rows[zero] = 0
  w = prune_columns(rows, factor(hessian), sparsity=0.5)
  assert not w[zero].any()
  assert (w == 0).sum() == max(60, zero.sum())
  w = prune_columns(rows, factor(hessian), group=(2, 4))
  assert not w[zero].any()
  assert (w.reshape(5, 6, 4) != 0).sum(2).max() <= 2
