import jax
import numpy as np
import pytest

from jcompress.channels.removal import Width
from jcompress.models.parts import HE, widths_of

PAPER = {'conv1': 64, 'query': (4, 8)}


def test_widths_are_given_as_numbers_sizes_or_widths():
  given = {'conv1': Width((32,), None), 'query': (2, 8)}
  assert widths_of(PAPER, given) == {'conv1': 32, 'query': (2, 8)}
  assert widths_of(PAPER, {'conv1': 3})['conv1'] == 3
  assert widths_of(PAPER, {}) == PAPER


def test_a_layer_that_is_not_there_is_refused():
  with pytest.raises(ValueError, match='names conv2; the layers are: conv1, q'):
    widths_of(PAPER, {'conv2': 3})


def test_another_number_of_sizes_is_refused():
  with pytest.raises(ValueError, match=r'query has sizes \(4, 8\).*\(32,\)'):
    widths_of(PAPER, {'query': 32})


def test_kernels_are_drawn_with_variance_two_over_the_number_of_inputs():
  kernel = np.asarray(HE(jax.random.key(0), (3, 3, 64, 64)))
  np.testing.assert_allclose(kernel.std(), (2 / (9 * 64)) ** 0.5, rtol=0.02)
  depthwise = np.asarray(HE(jax.random.key(0), (3, 3, 1, 4096)))
  np.testing.assert_allclose(depthwise.std(), (2 / 9) ** 0.5, rtol=0.02)
