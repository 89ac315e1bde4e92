import gzip

import numpy as np
import pytest
from helpers import as_idx

from jcompress.experiments import idx

IMAGES = np.arange(10 * 2 * 3, dtype=np.uint8).reshape(10, 2, 3)


@pytest.mark.parametrize('zipped', [False, True])
def test_reads_what_is_written(tmp_path, zipped):
  content = as_idx(IMAGES)
  path = tmp_path / ('images.gz' if zipped else 'images')
  path.write_bytes(gzip.compress(content) if zipped else content)
  np.testing.assert_array_equal(idx.read(path, 3), IMAGES)


@pytest.mark.parametrize(
  'damage, message',
  [
    (lambda x: b'\0\0\x0d' + x[3:], '00000d03'),
    (lambda x: x[:3] + b'\1' + x[4:], '00000801'),
    (lambda x: x[:9], '00000803'),
    (lambda x: b'', 'starts with'),
    (lambda x: x[:-1], 'needs 60'),
    (lambda x: x + b'\0', '61 bytes'),
  ],
)
def test_damaged_files_say_what_is_wrong(tmp_path, damage, message):
  path = tmp_path / 'images'
  path.write_bytes(damage(as_idx(IMAGES)))
  with pytest.raises(ValueError, match=message):
    idx.read(path, 3)


def test_damaged_gzip(tmp_path):
  path = tmp_path / 'images.gz'
  for content in (gzip.compress(as_idx(IMAGES))[:-9], b'no gzip'):
    path.write_bytes(content)
    with pytest.raises(ValueError, match='damaged gzip'):
      idx.read(path, 3)


def test_finds_all_four_files_or_none(tmp_path):
  assert idx.files(tmp_path) == []
  names = [
    f'{split}-{kind}-ubyte'
    for split in ('train', 't10k')
    for kind in ('images-idx3', 'labels-idx1')
  ]
  for name in names[:3]:
    (tmp_path / f'{name}.gz').touch()
  with pytest.raises(ValueError, match='lacks t10k-labels-idx1-ubyte'):
    idx.files(tmp_path)
  (tmp_path / names[3]).touch()
  assert [p.name for p in idx.files(tmp_path)] == [
    *(f'{name}.gz' for name in names[:3]),
    names[3],
  ]
