"""The IDX format of MNIST's files."""

import gzip
import math
import pathlib
import zlib

import numpy as np
from jaxtyping import UInt8


def files(folder: pathlib.Path) -> list[pathlib.Path]:
  """The four files, or nothing if there is none of them."""
  names = [
    f'{split}-{kind}-ubyte'
    for split in ('train', 't10k')
    for kind in ('images-idx3', 'labels-idx1')
  ]
  options = [(folder / n, folder / f'{n}.gz') for n in names]
  found = [next((p for p in ps if p.is_file()), None) for ps in options]
  missing = [n for n, p in zip(names, found, strict=True) if p is None]
  if 0 < len(missing) < len(names):
    raise ValueError(
      f'{folder} lacks {", ".join(missing)} (with or without .gz); it must '
      'hold all four IDX files or none.'
    )
  return [p for p in found if p is not None]


def read(path: str | pathlib.Path, dims: int) -> UInt8[np.ndarray, '...']:
  """Reads a file of bytes in the IDX format of MNIST.

  Two zero bytes, the type (8: bytes), the number of axes, the length of each
  axis as a big-endian 32-bit integer, the values.

  Args:
    path: of the file, gzipped if it ends in `.gz`.
    dims: axes that it must have: 3 for images, 1 for labels.

  Raises:
    ValueError: another type, other axes, another length, damaged gzip.
  """
  path = pathlib.Path(path)
  try:
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == '.gz' else data
  except (gzip.BadGzipFile, EOFError, zlib.error) as e:
    raise ValueError(f'{path} is a damaged gzip file: {e}.') from e
  magic, header = bytes([0, 0, 8, dims]), 4 + 4 * dims
  if data[:4] != magic or len(data) < header:
    raise ValueError(
      f'{path} starts with {data[:4].hex()}; an IDX file of bytes with {dims} '
      f'axes starts with {magic.hex()} and their lengths.'
    )
  shape = tuple(np.frombuffer(data, '>u4', dims, offset=4).tolist())
  if len(data) - header != math.prod(shape):
    raise ValueError(
      f'{path} has {len(data) - header} bytes of values; its shape {shape} '
      f'needs {math.prod(shape)}. Fetch it again.'
    )
  return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
