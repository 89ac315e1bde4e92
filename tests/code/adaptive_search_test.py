"""Tests of the choice of a model of neighbours."""

import numpy as np

from jcompress.code import adaptive, adaptive_model, adaptive_search


def _best(x, zero):
  return adaptive_search.best(x, zero, np.bincount(x.reshape(-1)))[0]


def _codes(rng, scale):
  return np.clip(np.round(rng.laplace(0, scale)), -7, 7).astype(int) + 7


def test_an_image_line_is_found():
  rng = np.random.default_rng(0)
  line = rng.normal(0, 1.2, (200, 14))
  scale = np.exp(np.tile(line, 14) - 1.5)
  x = _codes(rng, scale)
  pairs = adaptive_search.distances(adaptive_model.matrix(x, 0), 7, 8)
  assert pairs[0] == (1, 14)
  model = _best(x, 7)
  assert (model.way, model.far % 14) == (0, 0) and model.far
  model = _best(x.T.copy(), 7)
  assert (model.way, model.far % 14) == (1, 0) and model.far


def test_channels_are_found_as_the_nearer_distance():
  rng = np.random.default_rng(0)
  pixel = rng.normal(0, 1.2, (200, 6))
  scale = np.exp(np.tile(pixel, 20) - 1.5)
  pairs = adaptive_search.distances(
    adaptive_model.matrix(_codes(rng, scale), 0), 7, 8
  )
  assert (6, 12) in pairs and (6, 18) in pairs


def test_nothing_is_found_where_nothing_is():
  rng = np.random.default_rng(0)
  x = _codes(rng, np.ones((300, 200)))
  for part in (x, x[:, :4]):
    walked = adaptive_model.matrix(part, 0)
    assert adaptive_search.distances(walked, 7, 8) == []
  assert not _best(x, 7).weights.any()
  zeros = np.zeros((40, 50), int)
  zeros[3, 4] = 1
  assert not _best(zeros, 0).weights.any()


def test_the_cost_is_that_of_the_record():
  rng = np.random.default_rng(0)
  x = _codes(rng, np.exp(rng.normal(-1, 1, (300, 1))) + np.zeros(90))
  model, walked, events = adaptive_search.best(x, 7, np.bincount(x.reshape(-1)))
  record = adaptive.encode(x, 7)
  assert model.weights.any()
  np.testing.assert_array_equal(events, adaptive_model.events(walked, model))
  assert abs(adaptive_search.cost(model, events) / 8 - len(record)) < 5
  other = model._replace(weights=np.zeros(7, int))
  events = adaptive_model.events(walked, other)
  assert adaptive_search.cost(other, events) > 8 * len(record)


def test_of_a_large_array_all_events_are_given():
  rng = np.random.default_rng(0)
  x = _codes(rng, np.exp(rng.normal(-1, 1, (3000, 1))) + np.zeros(100))
  model, walked, events = adaptive_search.best(x, 7, np.bincount(x.reshape(-1)))
  assert model.weights.any()
  np.testing.assert_array_equal(events, adaptive_model.events(walked, model))


def test_distances_must_be_worth_something_to_be_the_surest():
  plain = adaptive_model.Model(0, 7, 14, 1, 0, 8, 9, 16, np.ones(7, int))
  far, other = plain._replace(far=5), plain._replace(way=1)
  surest = lambda *gains: [
    model
    for _, model in adaptive_search._surest(
      list(zip(gains, (plain, far, other), strict=True))
    )
  ]
  assert surest(1.0, 1.001, 0.5) == [plain]
  assert surest(1.0, 1.2, 0.5) == [far]
  assert surest(1.0, 1.001, 0.995) == [plain, other]
  assert adaptive_search._surest([]) == []
