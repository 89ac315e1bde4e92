import itertools

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from jcompress.numerics import prox

W = jnp.array([0.3, -0.7, 0.05, -0.15, 1.2, -0.1])
D = jnp.array([1, 4, 0.5, 2, 0.25, 1])
SOLVE = jax.jit(prox.ternary)


def objective(w, d, scaled):
  w, d = np.asarray(w, np.float64), np.asarray(d, np.float64)
  view = np.asarray(scaled.scale, np.float64) * np.asarray(scaled.codes)
  return float((d * (w - view) ** 2).sum() / 2)


def brute_force(w, d, letters):
  """The least objective over all codes, each with its best scale."""
  w, d = np.asarray(w, np.float64), np.asarray(d, np.float64)
  codes = np.array(list(itertools.product(letters, repeat=len(w))))
  mass = (d * codes**2).sum(-1)
  along = (d * w * codes).sum(-1)
  scale = np.maximum(along, 0) / np.where(mass > 0, mass, 1)
  errors = (d * (w - scale[:, None] * codes) ** 2).sum(-1) / 2
  return errors.min()


def instances(seed, count=12, size=7):
  """Smooth, tied, geometric and half-zero weights."""
  rng = np.random.default_rng(seed)
  for i in range(count):
    w = rng.normal(size=size)
    if i % 4 == 1:
      w = np.round(2 * w) / 2
    if i % 4 == 2:
      w = rng.choice([-1, 1], size) * 3.0 ** rng.integers(-4, 4, size)
    d = rng.uniform(0.1, 3, size) if i % 3 else 10.0 ** rng.uniform(-3, 3, size)
    if i % 4 == 3:
      w, d = w * (rng.random(size) < 0.5), d * (rng.random(size) < 0.7)
    yield jnp.float32(w), jnp.float32(d)


def test_binary_of_known_numbers():
  got = prox.binary(W, D)
  np.testing.assert_allclose(got.scale, 0.4371429, rtol=1e-6)
  np.testing.assert_array_equal(got.codes, [1, -1, 1, -1, 1, -1])
  np.testing.assert_allclose(objective(W, D, got), 0.3970893, rtol=1e-6)
  plain = prox.binary(W)
  np.testing.assert_allclose(plain.scale, 0.4166667, rtol=1e-6)
  np.testing.assert_allclose(objective(W, D, plain), 0.3989236, rtol=1e-6)


def test_ternary_of_known_numbers():
  got = prox.ternary(W, D)
  np.testing.assert_allclose(got.scale, 0.7294118, rtol=1e-6)
  np.testing.assert_array_equal(got.codes, [0, -1, 0, 0, 1, 0])
  np.testing.assert_allclose(objective(W, D, got), 0.1025368, rtol=1e-6)
  plain = prox.ternary(W)
  np.testing.assert_allclose(plain.scale, 0.95, rtol=1e-6)
  np.testing.assert_array_equal(plain.codes, [0, -1, 0, 0, 1, 0])
  np.testing.assert_allclose(
    2 * objective(W, jnp.ones(6), plain), 0.25, rtol=1e-6
  )


@pytest.mark.parametrize('seed', range(4))
def test_binary_and_ternary_equal_brute_force(seed):
  for solve, letters in ((prox.binary, [-1, 1]), (prox.ternary, [-1, 0, 1])):
    solve = jax.jit(solve)
    for w, d in instances(seed):
      want = brute_force(w, d, letters)
      size = float((d * w * w).sum())
      assert objective(w, d, solve(w, d)) <= want + 1e-6 * size


@pytest.mark.parametrize('seed', range(2))
def test_two_scales_equal_brute_force_on_each_sign(seed):
  solve = jax.jit(prox.ternary_two_scales)
  for w, d in instances(seed):
    parts = solve(w, d)
    for part, half, letter in zip(
      parts, (jnp.maximum(w, 0), jnp.minimum(w, 0)), (1, -1), strict=True
    ):
      want = brute_force(half, d, [0, letter])
      assert objective(half, d, part) <= want + 1e-6 * float((d * w * w).sum())
      assert set(np.unique(part.codes)) <= {0, letter}


def sorted_ternary(w, d):
  """The paper's solution: the best prefix of the sorted magnitudes."""
  size, d = np.abs(np.asarray(w, np.float64)), np.asarray(d, np.float64)
  order = np.argsort(-size)
  total, mass = np.cumsum((d * size)[order]), np.cumsum(d[order])
  best = (total**2 / mass).argmax()
  return total[best] / mass[best], (total**2 / mass).max()


@given(
  st.integers(1, 3000),
  st.sampled_from([0.3, 1.0, 4.0, 12.0]),
  st.integers(0, 999),
)
def test_ternary_equals_the_best_prefix_of_a_sort(size, tail, seed):
  rng = np.random.default_rng(seed)
  # Heavy tails have many fixed points.
  w = rng.choice([-1, 1], 3000) * np.exp(tail * rng.normal(size=3000))
  w[size:] = 0
  d = np.exp(rng.normal(size=3000))
  w, d = jnp.float32(w), jnp.float32(d)
  got = SOLVE(w, d)
  _, gain = sorted_ternary(w, d)
  d, codes, w = (np.asarray(x, np.float64) for x in (d, got.codes, w))
  total = (d * codes * w).sum()
  np.testing.assert_allclose(total * float(got.scale[0]), gain, rtol=2e-5)


def test_best_of_many_fixed_points_is_found():
  # Each power of three with a falling weight is a fixed point of its own.
  w = 3.0 ** jnp.arange(12.0)
  for decay in (2.9, 3.0, 3.1, 9.0):
    d = decay ** -jnp.arange(12.0)
    _, gain = sorted_ternary(w, d)
    got = SOLVE(w, d)
    total = (np.float64(d) * got.codes * w).sum()
    np.testing.assert_allclose(total * got.scale[0], gain, rtol=1e-5)


def test_ternary_codes_lie_beyond_half_the_scale():
  w = jax.random.normal(jax.random.key(0), (50, 40))
  d = jax.random.uniform(jax.random.key(1), w.shape)
  scale, codes = SOLVE(w, d)
  np.testing.assert_array_equal(codes != 0, jnp.abs(w) > scale / 2)
  again = SOLVE(w, 16 * d)
  np.testing.assert_allclose(again.scale, scale, rtol=1e-6)
  moved = SOLVE(4 * w, d)
  np.testing.assert_allclose(moved.scale, 4 * scale, rtol=1e-6)


def threshold(x):
  return jnp.where(jnp.abs(x) > 0.5, jnp.sign(x), 0)


def test_alternation_of_known_numbers():
  scales = [
    prox.alternate(W, D, threshold, jnp.sign(W), steps=n).scale[0]
    for n in range(4)
  ]
  np.testing.assert_allclose(
    scales, [0.4371429, 0.6476190, 0.7294118, 0.7294118], rtol=1e-6
  )


@given(st.integers(0, 999))
def test_alternation_never_gets_worse_and_never_beats_the_exact(seed):
  rng = np.random.default_rng(seed)
  w, d = jnp.float32(rng.normal(size=7)), jnp.float32(rng.uniform(0.1, 3, 7))
  errors = [objective(w, d, ALTERNATE[n](w, d, jnp.sign(w))) for n in (0, 1, 9)]
  exact = objective(w, d, SOLVE(w, d))
  assert errors[0] + 1e-6 >= errors[1] and errors[1] + 1e-6 >= errors[2]
  assert errors[2] + 1e-6 >= exact


ALTERNATE = {
  n: jax.jit(lambda w, d, b, n=n: prox.alternate(w, d, threshold, b, steps=n))
  for n in (0, 1, 9)
}


@pytest.mark.parametrize('shape', [(3,), (1, 1), (0, 4), ()])
def test_odd_arrays_are_solved(shape):
  @jax.jit
  def solve(w):
    return [
      prox.binary(w),
      prox.ternary(w),
      prox.alternate(w, None, threshold, jnp.sign(w)),
      prox.ternary(w, 0 * w),
    ]

  for value in (0.0, 1.0, -2.0):
    w = jnp.full(shape, value)
    *solutions, weightless = solve(w)
    for got in solutions:
      assert got.codes.shape == w.shape
      np.testing.assert_allclose(got.scale * got.codes, w)
    np.testing.assert_array_equal(weightless.scale, 0)


def test_solvers_work_under_vmap():
  w = jax.random.normal(jax.random.key(0), (5, 30))
  many = jax.jit(jax.vmap(prox.ternary))(w, jnp.abs(w))
  for i, row in enumerate(w):
    one = SOLVE(row, jnp.abs(row))
    np.testing.assert_allclose(many.scale[i], one.scale, rtol=1e-6)
    np.testing.assert_array_equal(many.codes[i], one.codes)
