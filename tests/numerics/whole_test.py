import numpy as np
import pytest

from jcompress.numerics.whole import require_whole


@pytest.mark.parametrize('value', [2, 8, np.int8(4), np.uint64(5)])
def test_whole_numbers_in_the_range_pass(value):
  require_whole('bits', value, 2, 8)


@pytest.mark.parametrize('value', [4.0, np.float32(4), True, '4', None])
def test_what_is_no_int_is_refused(value):
  with pytest.raises(ValueError, match='bits is .*; it must be a whole number'):
    require_whole('bits', value, 2, 8)


def test_the_range_is_said():
  with pytest.raises(ValueError, match=r'bits is 9; it must lie in 2 .. 8\.'):
    require_whole('bits', 9, 2, 8)
  with pytest.raises(ValueError, match='every is 0; it must be at least 1'):
    require_whole('every', 0, 1)
