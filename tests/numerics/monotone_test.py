import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jcompress.numerics.monotone import monotone_cubic

X = np.array([0.0, 1, 3, 4, 6])


def test_points_are_met_and_lines_are_lines():
  y = np.array([1.0, 4, 5, 5, -2])
  np.testing.assert_allclose(monotone_cubic(X, y, X), y, atol=1e-12)
  at = np.linspace(0, 6, 50)
  np.testing.assert_allclose(monotone_cubic(X, 3 * X - 1, at), 3 * at - 1)
  two = monotone_cubic(X[:2], y[:2], np.array([0.5]))
  np.testing.assert_allclose(two, [2.5])


def test_a_slope_is_the_harmonic_mean_of_those_beside_it():
  x, y = np.arange(3.0), np.array([0.0, 1, 3])  # slopes 1, 4 / 3, 2
  found = monotone_cubic(x, y, np.array([0.5, 1.5]))
  np.testing.assert_allclose(found, [0.5 - 1 / 24, 2 - 1 / 12])


@given(st.lists(st.floats(0, 9), min_size=5, max_size=5))
def test_it_falls_where_the_points_fall(steps):
  y = -np.cumsum(steps)
  found = monotone_cubic(X, y, np.linspace(0, 6, 80))
  assert (np.diff(found) <= 1e-9).all()
