import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from jcompress.factor import budget as budget_lib
from jcompress.factor.budget import allocate_ranks

A = {
  'a': [8, 4, 2, 1, 0.5, 0.25],
  'b': [3, 2.8, 2.6, 2.4, 2.2, 2],
  'c': [10, 1, 0.1, 0.01, 0.001, 0.0001],
}
B = {'a': [9, 7, 7, 6], 'b': [9, 7, 5, 2], 'c': [9, 6, 2, 2]}
COSTS_A = {'a': 10, 'b': 12, 'c': 30}
COSTS_B = {'a': 5, 'b': 7, 'c': 11}


def loss(spectra, ranks):
  tail = lambda s, r: 0.0 if r is None else np.square(s[r:]).sum()
  return sum(tail(np.asarray(spectra[n], float), ranks[n]) for n in spectra)


def spent(costs, dense, ranks):
  return sum(dense[n] if r is None else r * costs[n] for n, r in ranks.items())


def brute_force(spectra, costs, budget, dense):
  options = [[*range(1, len(s) + 1)] for s in spectra.values()]
  for name, own in zip(spectra, options, strict=True):
    own.extend([None] if name in dense else [])
  found = []
  for ranks in itertools.product(*options):
    ranks = dict(zip(spectra, ranks, strict=True))
    if spent(costs, dense, ranks) <= budget:
      found.append(loss(spectra, ranks))
  return min(found)


def test_known_allocations():
  found = allocate_ranks(A, COSTS_A, 120)
  assert found == {'a': 3, 'b': 5, 'c': 1}
  np.testing.assert_allclose(loss(A, found), 6.322601, rtol=1e-6)
  found = allocate_ranks(B, COSTS_B, 60)
  assert found == {'a': 4, 'b': 2, 'c': 2}
  assert loss(B, found) == 37  # the largest square per cost next: 44


@given(st.integers(0, 10**6), st.booleans())
def test_no_other_ranks_lose_less(seed, may_stay):
  rng = np.random.default_rng(seed)
  names = 'abc'[: rng.integers(1, 4)]
  spectra = {
    n: np.sort(rng.uniform(0, 9, rng.integers(1, 5)))[::-1] for n in names
  }
  costs = {n: int(rng.integers(1, 12)) for n in names}
  dense = {n: int(rng.integers(3, 30)) for n in names} if may_stay else {}
  least = sum(min(costs[n], dense.get(n, 99)) for n in names)
  budget = least + int(rng.integers(0, 60))
  found = allocate_ranks(spectra, costs, budget, dense=dense)
  assert spent(costs, dense, found) <= budget
  best = brute_force(spectra, costs, budget, dense)
  np.testing.assert_allclose(loss(spectra, found), best, atol=1e-9)
  for n, r in found.items():
    assert r is None or n not in dense or r * costs[n] < dense[n]


def test_a_layer_stays_dense_where_no_rank_pays():
  flat = {'a': [5.0] * 8, 'b': [9.0] + [0.1] * 7}
  costs, dense = {'a': 16, 'b': 16}, {'a': 64, 'b': 64}
  found = allocate_ranks(flat, costs, 80, dense=dense)
  assert found == {'a': None, 'b': 1}
  assert allocate_ranks(flat, costs, 10**9, dense=dense) == {
    'a': None,
    'b': None,
  }
  assert allocate_ranks(flat, costs, 10**9) == {'a': 8, 'b': 8}


def test_large_budgets_are_cut_into_a_grid(monkeypatch):
  rng = np.random.default_rng(0)
  sizes = {'a': (784, 300), 'b': (300, 101), 'c': (512, 257)}
  spectra = {
    n: np.sort(rng.exponential(size=min(s)))[::-1] for n, s in sizes.items()
  }
  costs = {n: sum(s) for n, s in sizes.items()}
  dense = {n: s[0] * s[1] for n, s in sizes.items()}
  exact = allocate_ranks(spectra, costs, 9_999, dense=dense)
  monkeypatch.setattr(budget_lib, '_GRID', 300)
  rough = allocate_ranks(spectra, costs, 9_999, dense=dense)
  assert spent(costs, dense, rough) <= 9_999
  assert loss(spectra, exact) <= loss(spectra, rough)
  np.testing.assert_allclose(
    loss(spectra, rough), loss(spectra, exact), rtol=0.01
  )
  left = 9_999 - spent(costs, dense, rough)
  assert left < min(costs.values())  # filled up


def test_a_grid_that_is_too_coarse_still_gives_ranks(monkeypatch):
  monkeypatch.setattr(budget_lib, '_GRID', 2)
  found = allocate_ranks(B, COSTS_B, 23)
  assert found == {'a': 1, 'b': 1, 'c': 1}
  found = allocate_ranks(B, COSTS_B, 60)
  assert spent(COSTS_B, {}, found) <= 60


def test_what_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='budget is 51; .* costs 52'):
    allocate_ranks(A, COSTS_A, 51)
  with pytest.raises(ValueError, match='of the same layers'):
    allocate_ranks(A, {'a': 1}, 60)
  with pytest.raises(ValueError, match='of the same layers'):
    allocate_ranks(A, COSTS_A, 60, dense={'d': 3})
  with pytest.raises(ValueError, match='a has 0 singular values'):
    allocate_ranks({'a': []}, {'a': 1}, 60)
  with pytest.raises(ValueError, match='all finite'):
    allocate_ranks({'a': [np.nan]}, {'a': 1}, 60)
  with pytest.raises(ValueError, match='costs of one or more'):
    allocate_ranks({'a': [1.0]}, {'a': 0}, 60)
