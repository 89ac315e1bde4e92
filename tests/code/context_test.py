"""Tests of the mask coder by rows and columns."""

import numpy as np
import pytest

from jcompress.code import context, sparse


def _structured(rows=400, columns=120, seed=0):
  rng = np.random.default_rng(seed)
  logit = rng.normal(-3, 1.5, (rows, 1)) + rng.normal(0, 0.8, columns)
  mask = rng.random((rows, columns)) < 1 / (1 + np.exp(-logit))
  mask[: rows // 4] = False
  return mask


@pytest.mark.parametrize(
  'mask',
  [
    np.zeros((3, 4), bool),
    np.ones((3, 4), bool),
    np.eye(5, dtype=bool),
    np.ones((1, 1), bool),
    np.random.default_rng(0).random((1, 500)) < 0.1,
    np.random.default_rng(0).random((500, 1)) < 0.9,
    _structured(),
    ~_structured(),
    _structured().T,
  ],
)
def test_round_trip(mask):
  record = context.encode(mask)
  np.testing.assert_array_equal(context.decode(record, *mask.shape), mask)


def test_rows_and_columns_are_worth_something():
  mask = _structured()
  gaps = len(sparse.encode(np.flatnonzero(mask)))
  assert len(context.encode(mask)) < 0.85 * gaps


def test_near_the_entropy_of_the_true_model():
  rng = np.random.default_rng(1)
  p = np.exp(rng.normal(-3, 1, (1000, 1)) + rng.normal(0, 0.5, 300))
  p = np.clip(p, 1e-4, 0.9)
  mask = rng.random(p.shape) < p
  bound = -np.where(mask, np.log2(p), np.log2(1 - p)).sum() / 8
  assert len(context.encode(mask)) < 1.06 * bound


def test_without_structure_it_costs_what_gaps_cost():
  mask = np.random.default_rng(0).random((500, 200)) < 0.1
  gaps = len(sparse.encode(np.flatnonzero(mask)))
  assert len(context.encode(mask)) < 1.01 * gaps


def test_damage():
  mask = _structured()
  record = context.encode(mask)
  for shape in ((399, 120), (120, 400), (401, 120)):
    with pytest.raises(ValueError):
      context.decode(record, *shape)
  with pytest.raises(ValueError):
    context.decode(record[: len(record) // 2], *mask.shape)
