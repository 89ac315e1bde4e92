"""Asymmetric numeral systems: a stream at its entropy.

`constriction` does the coding. A stack of symbols becomes 32-bit words; several
groups of symbols, each with its own model, can share one stack, so that a group
costs no header. What decides the bits is integers throughout: weights are
integers in float64, and constriction turns them into 24-bit probabilities by
exactly rounded operations.

References:
  Duda, "Asymmetric numeral systems", 2009, arXiv:0902.0271.
  Bamler, "Understanding Entropy Coding With Asymmetric Numeral Systems (ANS)",
  2022, arXiv:2201.01741.
"""

from collections.abc import Sequence

import constriction
import numpy as np
from jaxtyping import Float64, Int32, Integer

from jcompress.code import table as table_lib
from jcompress.code import wire

_ans = constriction.stream.stack
_model = constriction.stream.model

MAX_LETTERS = 1 << 16

Group = tuple[Int32[np.ndarray, ' _'], Float64[np.ndarray, ' _']]


def pack_groups(groups: Sequence[Group]) -> bytes:
  """Codes groups of symbols, each with the weights of its letters.

  Args:
    groups: `(symbols [n], weights [k])`; symbols in `0 .. k - 1`, weights
      integers of at least 1, `k` from 2 to 65,536.

  Returns:
    Little-endian words without the zero bytes at the end.
  """
  coder = _ans.AnsCoder()
  coder.encode_reverse(1, _end())
  for symbols, weights in reversed(groups):
    if symbols.size:
      coder.encode_reverse(np.ascontiguousarray(symbols), _categorical(weights))
  words = coder.get_compressed()
  return words.astype('<u4').tobytes().rstrip(b'\0')


def unpack_groups(
  data: bytes,
  groups: Sequence[tuple[int, Float64[np.ndarray, ' _']]],
  what: str,
) -> list[Int32[np.ndarray, ' _']]:
  """Inverts `pack_groups`.

  Args:
    data: what it gave.
    groups: `(n, weights)` of each group.
    what: names the stream in errors.

  Raises:
    ValueError: the data do not end where the last group ends.
  """
  data = data.rstrip(b'\0')
  words = np.frombuffer(data + b'\0' * (-len(data) % 4), '<u4')
  coder = _ans.AnsCoder(words.astype(np.uint32))
  empty = np.zeros(0, np.int32)
  out = [
    coder.decode(_categorical(weights), n) if n else empty
    for n, weights in groups
  ]
  if coder.decode(_end()) != 1 or not coder.is_empty():
    raise ValueError(f'Damaged {what}: the code does not end with its symbols.')
  return out


def fits(letters: Integer[np.ndarray, ' k']) -> bool:
  """Whether `encode` can write these letters."""
  return len(letters) <= MAX_LETTERS


def estimate(
  letters: Integer[np.ndarray, ' k'], counts: Integer[np.ndarray, ' k']
) -> float:
  """Bytes of `encode`, to within a few, without coding."""
  table, record = table_lib.fit(letters, counts)
  return len(record) + table_lib.cost(counts, table) / 8 + 3


def encode(
  symbols: Integer[np.ndarray, ' n'],
  letters: Integer[np.ndarray, ' k'],
  counts: Integer[np.ndarray, ' k'],
) -> bytes:
  """Codes a stream with its table in front.

  Args:
    symbols: unsigned, below `2^32`.
    letters: those that occur, increasing, from 2 to 65,536.
    counts: how often each does.
  """
  table, record = table_lib.fit(letters, counts)
  indices = index(symbols, table.letters)
  return record + pack_groups([(indices, table.weights)])


def decode(data: bytes, n: int) -> Integer[np.ndarray, ' n']:
  """Inverts `encode`; what it cannot have written is a `ValueError`."""
  reader = wire.Reader(data, 'ANS stream')
  table = table_lib.read(reader)
  if not 2 <= len(table.letters) <= MAX_LETTERS:
    raise ValueError(
      f'Damaged {reader.what}: {len(table.letters)} letters, not 2 to '
      f'{MAX_LETTERS}.'
    )
  (indices,) = unpack_groups(reader.rest(), [(n, table.weights)], reader.what)
  largest = int(table.letters[-1])
  dtype = np.uint8 if largest < 256 else np.uint32
  if largest == len(table.letters) - 1:
    return indices.astype(dtype)
  return table.letters.astype(dtype)[indices]


def index(
  symbols: Integer[np.ndarray, ' n'], letters: Integer[np.ndarray, ' k']
) -> Int32[np.ndarray, ' n']:
  """The place of each symbol among the letters."""
  if letters[-1] < 1 << 20:
    places = np.zeros(int(letters[-1]) + 1, np.int32)
    places[letters] = np.arange(len(letters))
    return places[symbols]
  return np.searchsorted(letters, symbols).astype(np.int32)


def _end():
  """The symbol below all others, without which zeros could follow unseen."""
  return _categorical(np.ones(2))


def _categorical(weights):
  return _model.Categorical(weights, perfect=False)
