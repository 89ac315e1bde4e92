import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.factor.evbmf import evbmf_rank, evidence

R = np.random.RandomState


def low_rank(seed, rows, columns, rank, noise):
  r = R(seed)
  signal = r.randn(rows, rank) @ r.randn(rank, columns)
  return signal + noise * r.randn(rows, columns)


CASES = {
  'clean': (
    low_rank(0, 20, 40, 3, 0.1),
    3,
    0.00997423,
    1.191488,
    [33.806978, 27.718310, 24.399250],
  ),
  'noise': (R(1).randn(20, 40), 0, 0.999152, 11.925203, []),
  'square': (
    low_rank(2, 30, 30, 5, 0.5),
    5,
    0.258149,
    6.167001,
    [45.120278, 34.898784, 28.069493, 23.717163, 21.062309],
  ),
  'tall': (
    low_rank(3, 100, 10, 4, 1),
    4,
    1.067001,
    14.682865,
    [45.353125, 25.32195, 16.112703, 9.684763],
  ),
}


@pytest.mark.parametrize('name', list(CASES))
def test_known_matrices(name):
  matrix, rank, variance, threshold, values = CASES[name]
  found = evidence(matrix)
  assert found.rank == rank and type(found.rank) is int
  np.testing.assert_allclose(found.variance, variance, rtol=1e-5)
  np.testing.assert_allclose(found.threshold, threshold, rtol=1e-5)
  np.testing.assert_allclose(found.values, values, rtol=1e-5)
  assert evbmf_rank(matrix) == evbmf_rank(matrix.T) == rank
  assert evbmf_rank(jnp.float32(matrix)) == rank


def random_matrix(seed):
  r = R(seed)
  rows, columns, rank = r.randint(4, 40), r.randint(4, 80), r.randint(0, 4)
  signal = r.randn(rows, rank) @ r.randn(rank, columns)
  return signal + 10 ** r.uniform(-2, 0.5) * r.randn(rows, columns)


@pytest.mark.parametrize(
  ('seed', 'rank', 'energy', 'variance'),
  [
    (43, 2, 9.605532, 5.796865),
    (54, 2, 12.489809, 0.349671),
    (120, 3, 6.984254, 0.013897),
    (154, 0, 18.355664, 9.360525),
    (189, 3, 5.149128, 0.850877),
  ],
)
def test_the_least_of_several_minima_is_found(seed, rank, energy, variance):
  # One bounded search ends in another minimum, with a rank off by one.
  found = evidence(random_matrix(seed))
  assert found.rank == rank
  np.testing.assert_allclose(found.energy, energy, rtol=1e-6)
  np.testing.assert_allclose(found.variance, variance, rtol=1e-3)


@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_a_scale_changes_the_variance_alone(seed, scale):
  matrix = random_matrix(seed)
  one, other = evidence(matrix), evidence(scale * matrix)
  assert one.rank == other.rank
  np.testing.assert_allclose(other.variance, scale**2 * one.variance, rtol=1e-4)


def test_a_rank_without_any_noise_is_that_rank():
  assert evbmf_rank(low_rank(5, 12, 9, 3, 0.0)) == 3
  assert evbmf_rank(np.diag([3.0, 0, 0, 0])) == 1


def test_zeros_and_empty_matrices_have_no_rank():
  assert evbmf_rank(np.zeros((3, 4))) == 0
  assert evbmf_rank(np.zeros((0, 4))) == 0


def test_nan_is_refused():
  with pytest.raises(ValueError, match='NaN or inf'):
    evbmf_rank(np.full((2, 2), np.nan))
