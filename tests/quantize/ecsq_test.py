"""Tests of entropy-constrained scalar quantization."""

import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from jcompress.quantize import ecsq
from jcompress.quantize.ecsq import ecsq_1d, ecsq_of_entropy
from jcompress.quantize.kmeans import kmeans_1d

W = np.array([-1.0, -0.6, -0.1, 0.0, 0.2, 0.5, 0.9, 1.0])
H = np.array([1.0, 4.0, 1.0, 1.0, 9.0, 1.0, 1.0, 0.25])


def plain(w, h, k, strength):
  """The iteration as it is written, with all costs of all weights."""
  centers, p = np.linspace(w.min(), w.max(), k), np.full(k, 1 / k)
  objectives = []
  while len(objectives) < 100:
    costs = h[:, None] * (w[:, None] - centers) ** 2 - strength * np.log2(p)
    codes = np.unique(costs.argmin(1), return_inverse=True)[1]
    centers = np.bincount(codes, h * w) / np.bincount(codes, h)
    p = np.bincount(codes) / w.size
    distortion = (h * (w - centers[codes]) ** 2).mean()
    objectives.append(distortion - strength * (p * np.log2(p)).sum())
    if objectives[-2:-1] == objectives[-1:]:
      break
  return objectives


def random(n, seed):
  rng = np.random.default_rng(seed)
  w = rng.laplace(size=n).astype(np.float32)
  return w, np.exp(rng.normal(size=n))


@pytest.mark.parametrize(
  ('strength', 'distortion', 'entropy', 'codes'),
  [
    (0.0, 0.013659, 2.155639, [0, 1, 2, 2, 2, 3, 4, 4]),
    (0.1, 0.027333, 1.75, [0, 1, 2, 2, 2, 2, 3, 3]),
    (0.5, 0.104127, 1.061278, [0, 1, 2, 2, 2, 2, 2, 2]),
  ],
)
def test_known_answers(strength, distortion, entropy, codes):
  found = ecsq_1d(W, 5, strength, weights=H)
  assert found.distortion == pytest.approx(distortion, abs=6e-7)
  assert found.entropy == pytest.approx(entropy, abs=6e-7)
  np.testing.assert_array_equal(found.codes, codes)
  assert found.objectives[-1] == found.distortion + strength * found.entropy


@given(
  st.integers(1, 40),
  st.sampled_from([0.0, 1e-3, 0.05, 1.0, 100.0]),
  st.integers(0, 999),
)
def test_each_round_is_that_of_the_plain_iteration(k, strength, seed):
  w, h = random(1 + seed, seed)
  got = ecsq_1d(w, k, strength, weights=h).objectives
  want = plain(w.astype(np.float64), h, k, strength)[: len(got)]
  np.testing.assert_allclose(got, want, rtol=1e-9)
  assert (np.diff(got) <= 1e-12 * got[0]).all()


def test_boxes_change_nothing(monkeypatch):
  w, h = random(500, 0)
  want = ecsq_1d(w, 64, 0.01, weights=h)
  for box, cells in ((1, 10), (7, 2**20), (5000, 2**20)):
    monkeypatch.setattr(ecsq, '_BOX', box)
    monkeypatch.setattr(ecsq, '_CELLS', cells)
    got = ecsq_1d(w, 64, 0.01, weights=h)
    np.testing.assert_array_equal(got.codes, want.codes)


def test_strength_zero_is_lloyds_iteration():
  w, h = random(400, 1)
  found = ecsq_1d(w, 4, 0.0, weights=h)
  lloyd = kmeans_1d(w, 4, weights=h, start='linear')
  np.testing.assert_allclose(found.centers, lloyd.centers, rtol=1e-6)
  np.testing.assert_array_equal(found.codes, lloyd.codes)
  np.testing.assert_allclose(found.distortion * w.size, lloyd.distortion)


def test_equal_importances_are_none():
  w, _ = random(500, 2)
  one = ecsq_1d(w, 16, 0.05)
  same = ecsq_1d(w, 16, 0.05, weights=np.ones(w.size))
  np.testing.assert_array_equal(one.codes, same.codes)


def test_scales_of_weights_and_importances_do_not_matter():
  w, h = random(500, 3)
  one = ecsq_1d(w, 16, 0.05, weights=h)
  other = ecsq_1d(4 * w, 16, 0.05 * 16 * 3, weights=3 * h)
  np.testing.assert_array_equal(one.codes, other.codes)
  np.testing.assert_allclose(4 * one.centers, other.centers, rtol=1e-6)


def test_the_stronger_the_fewer_centers_and_bits():
  w, h = random(2000, 4)
  found = [ecsq_1d(w, 64, s, weights=h) for s in (0, 0.003, 0.03, 0.3, 10)]
  for less, more in zip(found, found[1:], strict=False):
    assert less.centers.size >= more.centers.size
    assert less.entropy > more.entropy
    assert less.distortion < more.distortion


def test_the_only_popular_center_draws_all_weights():
  found = ecsq_1d(np.append(np.zeros(99), 1.0), 8, 1.0)
  assert found.centers.tolist() == [np.float32(0.01)] and found.entropy == 0


def test_centers_are_sorted_and_all_have_members():
  w, h = random(900, 5)
  found = ecsq_1d(w.reshape(30, 30), 40, 0.02, weights=h.reshape(30, 30))
  assert found.codes.shape == (30, 30)
  assert (np.diff(found.centers) > 0).all()
  np.testing.assert_array_equal(
    np.unique(found.codes), np.arange(found.centers.size)
  )


def test_density_starts_where_the_weights_are():
  w = np.append(np.linspace(0, 1, 100), 1000.0)
  assert ecsq_1d(w, 4, 0.0).centers.size == 2
  assert ecsq_1d(w, 4, 0.0, start='density').centers.size == 4


@pytest.mark.parametrize('bits', [0.5, 1.0, 2.35, 4.0])
@pytest.mark.parametrize('weighted', [False, True])
def test_an_entropy_is_met_from_below(bits, weighted):
  w, h = random(5000, 6)
  found = ecsq_of_entropy(w, 64, bits, weights=h if weighted else None)
  assert bits - 0.1 < found.entropy <= bits


def test_an_entropy_that_all_centers_stay_below_costs_nothing():
  w, h = random(300, 7)
  for bits in (4.0, 9.0):
    found = ecsq_of_entropy(w, 16, bits, weights=h)
    np.testing.assert_array_equal(
      found.codes, ecsq_1d(w, 16, 0.0, weights=h).codes
    )


def test_an_entropy_out_of_reach_of_the_search_is_one_center():
  found = ecsq_of_entropy(np.array([-1.0, 1.0]), 2, 0.5)
  assert found.centers.tolist() == [0.0] and found.entropy == 0


def test_a_sample_of_many_weights_only_guides_the_search(monkeypatch):
  w, h = random(3000, 8)
  monkeypatch.setattr(ecsq, '_SAMPLE', 500)
  found = ecsq_of_entropy(w, 64, 2.0, weights=h)
  assert found.codes.size == 3000 and 1.9 < found.entropy <= 2.0


def test_one_bit_is_two_centers_of_weights_in_two_heaps():
  w = np.sign(np.arange(-500, 501)) * np.linspace(1, 2, 1001)
  found = ecsq_of_entropy(w[w != 0], 64, 1.0)
  assert found.entropy == 1 and found.centers.size == 2


@pytest.mark.parametrize('w', [np.zeros(3), np.full(1, 2.0), np.ones((2, 2))])
def test_equal_weights_have_one_center(w):
  for found in (ecsq_1d(w, 5, 0.1), ecsq_of_entropy(w, 5, 1.0)):
    assert found.centers.tolist() == [w.flat[0]]
    assert found.distortion == found.entropy == 0


def test_many_weights_need_no_array_of_weights_by_centers():
  w, h = random(200_000, 9)
  tracemalloc.start()
  found = ecsq_1d(w, 256, 0.02, weights=h)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert found.centers.size > 100
  assert peak < 30 * w.nbytes
