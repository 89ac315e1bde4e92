"""Tests of frames of zstd."""

import numpy as np
import pytest
import zstandard

from jcompress.code import frames


def test_a_bomb_is_refused():
  bomb = frames.deflate(bytes(50_000_000))
  assert len(bomb) < 10_000
  with pytest.raises(ValueError, match='not one frame of 1000'):
    frames.inflate(bomb, 1000, 'test')
  parameters = zstandard.ZstdCompressionParameters(
    window_log=31, format=zstandard.FORMAT_ZSTD1_MAGICLESS
  )
  wide = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
  data = wide.compress(b'abc') + wide.flush()
  with pytest.raises(ValueError, match='Damaged test'):
    frames.inflate(data, 3, 'test')


@pytest.mark.parametrize('n', [0, 5, 3000, 100_000, 1_200_000])
def test_round_trip(n):
  data = (np.arange(n) % 251 % 17).astype(np.uint8).tobytes()
  for frame in (
    frames.deflate(data),
    frames.deflate(data, repeats=False),
    frames.quick(data),
    frames.shorter(data, n + 1),
  ):
    assert frame is not None
    assert frames.inflate(frame, n, 'test') == data


@pytest.mark.parametrize('n', [2000, 40_000, 200_000])
def test_only_what_repeats_itself_is_tried_against_the_entropy(n):
  rng = np.random.default_rng(0)
  letters = np.round(rng.laplace(0, 1.5, n)).astype(np.int8)
  _, counts = np.unique(letters, return_counts=True)
  entropy = -(counts * np.log2(counts / n)).sum() / 8
  assert frames.shorter(letters.tobytes(), entropy) is None
  again = np.resize(letters[: n // 8], n).tobytes()
  assert frames.shorter(again, entropy) == frames.deflate(again)
  assert len(frames.deflate(again)) < 0.3 * entropy


def test_what_the_reader_knows_is_short():
  known = np.random.default_rng(0).bytes(400)
  data = known[100:300]
  frame = frames.deflate(data, known=known)
  assert len(frame) < 20 < 200 < len(frames.deflate(data))
  assert frames.inflate(frame, 200, 'test', known) == data
  with pytest.raises(ValueError, match='Damaged test'):
    frames.inflate(frame, 200, 'test')
