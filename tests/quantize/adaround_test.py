"""Tests of rounding up or down by what it does to a layer."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc


def layer(inputs=24, outputs=10, examples=300, seed=0):
  """Correlated inputs that are not negative, and weights."""
  rng = np.random.default_rng(seed)
  mix = rng.standard_normal((inputs, inputs)) / np.sqrt(inputs)
  x = np.maximum(rng.standard_normal((examples, inputs)) @ mix + 0.3, 0)
  w = rng.standard_normal((inputs, outputs)).astype(np.float32)
  return x, w, x.T @ x / examples


def error(x, w, new):
  change = x @ (np.asarray(new, np.float64) - w)
  return np.sum(change**2) / np.sum((x @ w) ** 2)


@pytest.mark.parametrize('seed', range(3))
def test_it_is_near_the_best_of_all_roundings(seed):
  x, w, h = layer(6, 2, 60, seed)
  leaf, report = jc.adaround(w, h, 3, calibration='absmax')
  scale = np.abs(w).max(0) / 3
  below = np.floor(w / scale)
  ups = np.array(list(itertools.product((0, 1), repeat=6)))
  best = 0.0
  for j in range(2):
    change = (np.clip(below[:, j] + ups, -3, 3)) * scale[j] - w[:, j]
    best += np.einsum('ni,ij,nj->n', change, h, change).min()
  best /= np.einsum('io,ij,jo->', w, h, w)
  assert best * (1 - 1e-5) <= report.error <= 1.5 * best
  assert report.error <= report.nearest
  assert report.error == pytest.approx(error(x, w, leaf.decode()), rel=1e-4)


def test_outputs_change_much_less_than_by_the_nearest():
  x, w, h = layer()
  leaf, report = jc.adaround(w, h, 4)
  assert report.error < 0.55 * report.nearest
  assert 0.05 < report.moved < 0.6
  near, _ = jc.adaround(w, np.eye(24), 4)  # nothing to gain
  steps = np.asarray(leaf.codes, int) - np.asarray(near.codes, int)
  assert np.abs(steps).max() == 1
  again, _ = jc.adaround(w, h, 4)
  np.testing.assert_array_equal(leaf.codes, again.codes)


def test_groups_zero_points_and_exact_zeros():
  _, w, h = layer()
  w[3] = 0
  leaf, report = jc.adaround(w, h, 4, group=8, symmetric=False, steps=200)
  assert leaf.codes.dtype == jnp.uint8 and leaf.scale.shape == (3, 10)
  assert report.error <= report.nearest
  assert not np.asarray(leaf.decode())[3].any()


def test_a_convolution_is_a_matrix_of_its_windows():
  _, w, h = layer(18, 4)
  flat, _ = jc.adaround(w, h, 4, steps=100)
  kernel, _ = jc.adaround(w.reshape(3, 3, 2, 4), h, 4, steps=100)
  np.testing.assert_array_equal(kernel.codes.reshape(18, 4), flat.codes)


@pytest.mark.parametrize(
  'bad', [{'bits': 1}, {'steps': 0}, {'rate': 0.0}, {'strength': -1.0}]
)
def test_wrong_numbers(bad):
  _, w, h = layer()
  with pytest.raises(ValueError, match=next(iter(bad))):
    jc.adaround(w, h, **({'bits': 4} | bad))
