import io

import matplotlib.image
import numpy as np
import pytest

from jcompress.experiments import bitmaps


def test_outputs_go_down_and_inputs_across():
  mask = np.array([[1, 0], [1, 1], [0, 0]], bool)
  np.testing.assert_array_equal(bitmaps.of_mask(mask), mask.T)


def test_of_a_large_mask_a_pixel_is_a_share():
  mask = np.zeros((1000, 3), bool)
  mask[:4, 1] = mask[999, 2] = True
  found = bitmaps.of_mask(mask)
  assert found.shape == (3, 334)
  np.testing.assert_allclose(found[1, :3], [1, 1 / 3, 0])
  assert found[2, -1] == 1  # of the one that is left over


def test_filters_lie_in_a_row_for_each_output_with_gaps():
  mask = np.arange(2 * 2 * 3 * 2).reshape(2, 2, 3, 2) % 5 > 1
  found = bitmaps.of_mask(mask)
  assert found.shape == (5, 8)
  for i in range(3):
    for j in range(2):
      tile = found[3 * j : 3 * j + 2, 3 * i : 3 * i + 2]
      np.testing.assert_array_equal(tile, mask[:, :, i, j])
  assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()


def test_filters_of_one_input_fill_several_rows_and_many_have_no_room():
  assert bitmaps.of_mask(np.ones((5, 5, 1, 20), bool)).shape == (17, 41)
  down, across = bitmaps.of_mask(np.ones((3, 3, 512, 512), bool)).shape
  assert down == across == 399


def test_other_masks_are_refused():
  with pytest.raises(ValueError, match='3 axes'):
    bitmaps.of_mask(np.ones((2, 2, 2), bool))


def test_png_has_the_shares_as_opacity():
  shares = np.array([[0, 0.5, 1], [np.nan, 1, 0]])
  found = matplotlib.image.imread(io.BytesIO(bitmaps.png(shares)))
  np.testing.assert_allclose(found[..., 3], np.nan_to_num(shares), atol=0.01)
  assert bitmaps.source(shares).startswith('data:image/png;base64,iVBOR')
