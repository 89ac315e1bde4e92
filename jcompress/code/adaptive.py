"""Small codes with signs under a model of their neighbours that learns.

What stands above, to the left and one image line away tells how large the next
code will be: pruning and training thin whole rows and columns. The writer finds
the way through the array, the distances and the weights of the model; the
reader needs a dozen bytes of them and integers only.

A record is one byte (way through the array, bit 2: contexts, bit 3: sizes up to
1 in place of 8, bits 4 and 5: shift less 9), the symbol of zero, the highest
symbol and the distances as varints, a byte for the mean size, with contexts the
weights (24 bits, then six of 8), and the words of the coder, high bytes first.
"""

import math

import numpy as np
from jaxtyping import Integer

from jcompress.code import adaptive_model, adaptive_search, streams, wire
from jcompress.code.adaptive_model import MAX_COLUMNS, MOST


def encode(
  symbols: Integer[np.ndarray, '*shape'],
  zero: int | None = None,
  counts: Integer[np.ndarray, ' k'] | None = None,
) -> bytes | None:
  """Writes symbols, or gives `None` where the model is not for them.

  Args:
    symbols: not negative.
    zero: the symbol that stands for 0, the others lie around it in order; the
      commonest one is taken if that is much commoner, or if it is not known.
    counts: of each symbol up to the highest, if they are known.
  """
  if symbols.size < 2:
    return None
  highest = int(symbols.max()) if counts is None else len(counts) - 1
  if not 0 < highest <= 2 * MOST or not adaptive_model.ways(symbols.shape):
    return None
  if counts is None:
    counts = np.bincount(symbols.reshape(-1))
  zero = center(counts, zero)
  if max(zero, highest - zero) > MOST:
    return None
  model, _, events = adaptive_search.best(symbols, zero, counts)
  return adaptive_model.head(model) + adaptive_model.words(events)


def center(counts: Integer[np.ndarray, ' k'], zero: int | None) -> int:
  """The symbol that stands for 0 among symbols with these counts."""
  common = int(counts.argmax())
  if zero is None or not 0 <= zero < len(counts):
    return common
  return common if counts[common] > 2 * counts[zero] else zero


def decode(
  record: bytes, shape: tuple[int, ...]
) -> Integer[np.ndarray, '*shape']:
  """Inverts `encode`, as uint8 or uint32.

  Raises:
    ValueError: the record is damaged, or does not hold an array of this shape.
  """
  streams.check_count(math.prod(shape), len(record), 'context stream')
  reader = wire.Reader(record, 'context stream')
  model = adaptive_model.read_head(reader)
  data = reader.rest()
  if len(data) % 2:
    raise ValueError(f'Damaged {reader.what}: half a word.')
  rows, columns = adaptive_model.matrix_shape(shape, model.way)
  if max(model.near, model.far) > columns or columns > MAX_COLUMNS:
    raise ValueError(
      f'Damaged {reader.what}: distances {model.near}, {model.far} in '
      f'{columns} columns.'
    )
  walked = np.empty((rows, columns), np.int16)
  stream = np.frombuffer(data, '>u2').astype(np.uint32)
  if adaptive_model.walk(walked, model, stream, True) < 0:
    raise ValueError(
      f'Damaged {reader.what}: the code does not end with its symbols.'
    )
  back = walked.astype(np.uint8 if model.highest < 256 else np.uint32)
  return adaptive_model.unwalked(back, shape, model.way).copy()
