import numpy as np
import pytest
from sklearn.datasets import load_digits

from jcompress.experiments import data
from jcompress.experiments.turned import rotate, turned

IMAGES = np.rint(load_digits().images[:300, ..., None] * 15).astype(np.uint8)


@pytest.mark.parametrize('quarters', [0, 1, 2, 3, 4])
@pytest.mark.parametrize('size', [7, 8])
def test_quarters_are_exact(quarters, size):
  images = IMAGES[:3, :size, :size]
  got = rotate(images, np.full(3, 90.0 * quarters))
  np.testing.assert_array_equal(got, np.rot90(images, quarters, (1, 2)))


def test_an_eighth_between_two_pixels():
  """The corner of a 3x3 image comes from 1.41 pixels to the right of it."""
  image = np.zeros((1, 3, 3, 1))
  image[0, 1, 2] = 1.0
  got = rotate(image, np.array([45.0]))[0, ..., 0]
  far = 1 - np.sqrt(0.5)
  want = (1 - (np.sqrt(2) - 1)) * 1.0
  np.testing.assert_allclose(got[0, 2], want, atol=1e-9)
  np.testing.assert_allclose(got[1, 1], 0, atol=1e-9)
  np.testing.assert_allclose(got[1, 2], (1 - far) * (1 - 0.5**0.5), atol=1e-9)


def test_back_and_forth_is_nearly_the_image():
  images = np.zeros((2, 15, 15, 1))
  images[:, 4:11, 4:11] = 1.0
  there = rotate(images, np.array([30.0, 77.0]))
  back = rotate(there, np.array([-30.0, -77.0]))
  assert np.abs(back - images)[:, 6:9, 6:9].max() < 1e-9
  assert np.abs(there - images).max() > 0.3
  np.testing.assert_allclose(there.sum(), images.sum(), rtol=0.02)


def test_each_image_has_an_angle_of_its_own():
  found = turned(IMAGES, 'quarters')
  counts = [
    sum((np.rot90(a, k) == b).all() for a, b in zip(IMAGES, found, strict=True))
    for k in range(4)
  ]
  assert sum(counts) == 300 and min(counts) > 50
  again = turned(IMAGES, 'angles')
  np.testing.assert_array_equal(again, turned(IMAGES, 'angles'))
  assert (again != turned(IMAGES, 'angles', seed=1)).any((1, 2, 3)).all()
  assert again.dtype == np.uint8 and again.shape == IMAGES.shape


def test_the_test_set_alone_is_turned():
  plain, found = data.load('digits'), data.load('digits+quarters')
  assert found.name == 'digits+quarters'
  np.testing.assert_array_equal(found.train_inputs, plain.train_inputs)
  np.testing.assert_array_equal(found.test_labels, plain.test_labels)
  moved = (found.test_inputs != plain.test_inputs).any((1, 2, 3)).mean()
  assert 0.65 < moved < 0.85


def test_what_cannot_be_turned():
  with pytest.raises(ValueError, match="kind is 'eighths'"):
    turned(IMAGES, 'eighths')
  with pytest.raises(ValueError, match='square'):
    turned(IMAGES[:, :, :5], 'quarters')
  assert rotate(IMAGES[:0], np.zeros(0)).shape == (0, 8, 8, 1)
