"""What the reader of a model of neighbours is told, and ways through arrays.

Logistic mixing of two to four models (the class; the four neighbours; column by
row; above; signs likewise, all learning rates tried) was computed in ideal code
lengths and not built: against one class, LeNet-300-100's kernels come to -1.2 %
(784 x 300) and +0.6 % (300 x 100), LeNet-5's largest two to 0.0 and +0.2 %, two
of MiniLM at 4 bits a row to -0.05 %, at 13 to 23 and 6 to 10 million a second.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Int64, Integer, UInt32

from jcompress.code import adaptive_loops, adaptive_tables, adaptive_words, wire

MOST = 255  # the largest distance of a symbol from that of zero
MAX_COLUMNS = 1 << 20
_CONTEXTS, _SMALL, _CAP = 4, 8, 8


class Model(NamedTuple):
  """What the reader is told.

  Attributes:
    way: through the array, see `matrix`.
    zero: the symbol that stands for 0.
    highest: symbol.
    near: distance to the left, from 1.
    far: a longer one, or 0 for none.
    cap: of sizes, 8 or 1.
    shift: 9 to 11.
    unit: 16 times the mean size.
    weights: int64 `[7]`; all 0 for one class.
  """

  way: int
  zero: int
  highest: int
  near: int
  far: int
  cap: int
  shift: int
  unit: int
  weights: Int64[np.ndarray, ' 7']


def ways(shape: tuple[int, ...]) -> list[int]:
  """The ways through an array of this shape that differ and can be walked."""
  found = range(min(max(len(shape), 1), 3))
  return [w for w in found if matrix_shape(shape, w)[1] <= MAX_COLUMNS]


def matrix(
  symbols: Integer[np.ndarray, '*shape'], way: int
) -> Int16[np.ndarray, 'rows columns']:
  """The array as it is walked, row by row.

  Args:
    symbols: below `2^15`.
    way: 0: columns are the last axis; 1: rows are, for kernels `(in, out)`; 2:
      rows are, and the axis before it comes next, for `(height, width, in,
      out)`.
  """
  turned = symbols.transpose(_axes(symbols.ndim, way))
  return np.ascontiguousarray(turned, np.int16).reshape(
    matrix_shape(symbols.shape, way)
  )


def unwalked(
  walked: Integer[np.ndarray, 'rows columns'], shape: tuple[int, ...], way: int
) -> Integer[np.ndarray, '*shape']:
  """Inverts `matrix`; the dtype is kept."""
  axes = _axes(len(shape), way)
  across = [shape[a] for a in axes]
  return walked.reshape(across).transpose(np.argsort(axes))


def matrix_shape(shape: tuple[int, ...], way: int) -> tuple[int, int]:
  """Rows and columns of `matrix`."""
  last = shape[-1] if shape else 1
  rest = math.prod(shape[:-1])
  return (last, rest) if way else (rest, last)


def walk(
  walked: Int16[np.ndarray, 'rows columns'],
  model: Model,
  stream: UInt32[np.ndarray, ' n'],
  reading: bool,
) -> int:
  """See `adaptive_loops.walk`."""
  return adaptive_loops.walk(
    *(walked, model.zero, model.highest, model.near, model.far),
    *(model.cap, model.shift, model.unit, model.weights),
    adaptive_tables.logarithms(),
    adaptive_tables.priors(model.unit, model.cap, model.shift),
    stream,
    reading,
  )


def events(
  walked: Int16[np.ndarray, 'rows columns'], model: Model
) -> UInt32[np.ndarray, ' n']:
  """The coded events, uint32: shares of 4,096 from bit 16 on."""
  out = np.empty(2 * walked.size, np.uint32)
  return out[: walk(walked, model, out, False)]


def words(events: UInt32[np.ndarray, ' n']) -> bytes:
  """The words of the coder."""
  out = np.empty(len(events) + 2, np.uint16)
  return out[adaptive_words.to_words(events, out) :].astype('>u2').tobytes()


def head(model: Model) -> bytes:
  """The record in front of the words."""
  contexts = bool(model.weights.any())
  kind = model.way | contexts * _CONTEXTS | (model.cap == 1) * _SMALL
  out = bytes([kind | model.shift - 9 << 4])
  numbers = model.zero, model.highest, model.near, model.far
  out += b''.join(map(wire.varint, numbers)) + bytes([model.unit])
  if contexts:
    first, *others = model.weights.tolist()
    out += first.to_bytes(3, 'little', signed=True)
    out += np.array(others, np.int8).tobytes()
  return out


def read_head(reader: wire.Reader) -> Model:
  """Inverts `head`; what it cannot have written is a `ValueError`."""
  kind = reader.byte()
  zero, highest, near, far = (reader.varint() for _ in range(4))
  unit = reader.byte()
  cap = 1 if kind & _SMALL else _CAP
  weights = np.zeros(7, np.int64)
  if kind & _CONTEXTS:
    weights[0] = int.from_bytes(reader.take(3), 'little', signed=True)
    weights[1:] = np.frombuffer(reader.take(6), np.int8)
  if (
    kind >> 6
    or kind & 3 > 2
    or kind >> 4 > 2
    or not 0 <= zero <= highest
    or not 1 <= max(zero, highest - zero) <= MOST
    or not 1 <= near
    or not (far == 0 or near < far)
    or not 1 <= unit <= 16 * cap
  ):
    raise ValueError(f'Damaged {reader.what}: an impossible model.')
  shift = 9 + (kind >> 4)
  return Model(kind & 3, zero, highest, near, far, cap, shift, unit, weights)


@functools.cache
def _axes(axes: int, way: int) -> tuple[int, ...]:
  """The order in which the axes are walked."""
  if way == 0 or axes < 2:
    return tuple(range(axes))
  if way == 1:
    return (axes - 1, *range(axes - 1))
  return (axes - 1, axes - 2, *range(axes - 2))
