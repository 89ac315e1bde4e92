"""Tests of what the reader of codes under a model of neighbours is told."""

import numpy as np
import pytest

from jcompress.code import adaptive, adaptive_model, wire


def test_the_head_by_hand():
  weights = np.array([-2, 1, 2, 3, -4, 5, 6])
  model = adaptive_model.Model(1, 7, 14, 3, 300, 1, 10, 9, weights)
  data = adaptive_model.head(model)
  want = '1d 07 0e 03 ac02 09 feffff 01 02 03 fc 05 06'
  assert data == bytes.fromhex(want)
  back = adaptive_model.read_head(wire.Reader(data, 'test'))
  np.testing.assert_array_equal(back.weights, weights)
  assert back[:-1] == model[:-1]


@pytest.mark.parametrize('shape', [(), (7,), (4, 5), (3, 2, 4, 5)])
def test_each_way_through_an_array(shape):
  x = np.arange(int(np.prod(shape))).reshape(shape)
  walks = [adaptive_model.matrix(x, way) for way in adaptive_model.ways(shape)]
  assert len(walks) == min(max(len(shape), 1), 3)
  for way, walked in enumerate(walks):
    assert walked.shape == adaptive_model.matrix_shape(shape, way)
    back = adaptive_model.unwalked(walked, shape, way)
    np.testing.assert_array_equal(back, x)
  if len(shape) == 4:
    np.testing.assert_array_equal(walks[1][2], x[..., 2].reshape(-1))
    np.testing.assert_array_equal(walks[2][2, 6:12], x[:, :, 1, 2].reshape(-1))


@pytest.mark.parametrize(
  'head',
  [
    {'way': 3},
    {'zero': 15},
    {'highest': 511, 'zero': 255},
    {'highest': 400},
    {'highest': 0, 'zero': 0},
    {'near': 0},
    {'near': 51},
    {'far': 1},
    {'far': 51},
    {'unit': 0},
    {'unit': 129},
    {'cap': 1, 'unit': 17},
    {'shift': 12},
  ],
  ids=str,
)
def test_an_impossible_model_is_refused(head):
  x = np.random.default_rng(0).integers(0, 15, (60, 50))
  walked = adaptive_model.matrix(x, 0)
  model = adaptive_model.Model(
    *(0, 7, 14, 1, 0, 8, 9, 40), np.array([9, 1, 2, 3, 4, 5, 6])
  )
  words = adaptive_model.words(adaptive_model.events(walked, model))
  np.testing.assert_array_equal(
    adaptive.decode(adaptive_model.head(model) + words, x.shape), x
  )
  lie = adaptive_model.head(model._replace(**head)) + words
  with pytest.raises(ValueError, match='Damaged context stream'):
    adaptive.decode(lie, x.shape)
