import pytest

import jcompress as jc
from jcompress.base import require_compressor


def test_only_a_compressor_is_one():
  require_compressor(jc.identity(), 'here')
  with pytest.raises(ValueError, match='here takes .*call it, as kmeans_sha'):
    require_compressor(jc.kmeans_share, 'here')
  with pytest.raises(ValueError, match='here takes .*given None of type None'):
    require_compressor(None, 'here')
