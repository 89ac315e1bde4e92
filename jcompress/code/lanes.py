"""Prefix codes written one after the other, read in many lanes in lock step.

A lane is a run of symbols; all lanes but the last have equally many. The
lengths in bits of those travel as differences to the shortest, packed. Few
symbols are one lane, which costs nothing.
"""

import numpy as np
from jaxtyping import Int64, UInt16

from jcompress.code import bits, wire

_SYMBOLS, _LANES = 1024, 4096
_WINDOW, _AT_ONCE, _FIELD = 12, 4, 12
_CHUNK = 1 << 18
_GROUP = 64


def overhead(n: int) -> float:
  """Bytes that the lanes of `n` symbols cost, about."""
  lanes, size = _split(n)
  return (3 + lanes * np.log2(size + 1) / 8) * (lanes > 1)


def encode(
  symbols: np.ndarray,
  first: int,
  codes: Int64[np.ndarray, ' k'],
  lengths: Int64[np.ndarray, ' k'],
) -> bytes:
  """Writes symbols `first .. first + k - 1` under codes of up to 12 bits."""
  n = len(symbols)
  lanes, size = _split(n)
  ends, at = np.empty(lanes, np.int64), 0
  out = np.zeros(_words(n * int(lengths.max())), np.uint32)
  table = (codes | lengths << 32).astype(np.uint64)
  step = max(1, _CHUNK // size) * size
  for i in range(0, n, step):
    entry = table[symbols[i : i + step] - symbols.dtype.type(first)]
    place = np.cumsum(entry >> np.uint64(32), dtype=np.uint64)
    stops = np.append(np.arange(size, len(entry), size), len(entry)) - 1
    ends[i // size : i // size + len(stops)] = at + place[stops].astype(
      np.int64
    )
    total = int(place[-1])
    place -= entry >> np.uint64(32)
    place += np.uint64(at & 31)
    entry &= np.uint64(0xFFFFFFFF)
    entry <<= place & np.uint64(31)
    place >>= np.uint64(5)
    starts = np.flatnonzero(place[1:] != place[:-1]) + 1
    part = np.add.reduceat(entry, np.concatenate([[0], starts]))
    base = at >> 5
    out[base : base + len(part)] |= part.astype(np.uint32)
    high = (part >> np.uint64(32)).astype(np.uint32)
    out[base + 1 : base + 1 + len(part)] |= high
    at += total
  head = b''
  if lanes > 1:
    spans = np.diff(ends[:-1], prepend=0)
    low = int(spans.min())
    width = bits.width(int(spans.max()) - low)
    head = wire.varint(low) + bytes([width]) + bits.pack(spans - low, width)
  return head + out.astype('<u4').tobytes()[: (at + 7) // 8]


def decode(
  reader: wire.Reader,
  n: int,
  codes: Int64[np.ndarray, ' k'],
  lengths: Int64[np.ndarray, ' k'],
) -> UInt16[np.ndarray, ' n']:
  """Inverts `encode`; gives symbols from 0.

  Raises:
    ValueError: the codes do not end where the lanes do.
  """
  if not 0 < n <= 8 * reader.left():
    raise ValueError(f'Damaged {reader.what}: {n} symbols do not fit.')
  lanes, size = _split(n)
  spans = np.zeros(lanes - 1, np.int64)
  if lanes > 1:
    low, width = min(reader.varint(), 8 * reader.left()), reader.byte()
    packed = reader.take(bits.packed_size(lanes - 1, width))
    spans += low + bits.unpack(packed, lanes - 1, width).astype(np.int64)
  data = reader.rest()
  places = np.append(0, np.cumsum(spans))
  counts = np.full(lanes, size)
  counts[-1] = n - size * (lanes - 1)
  blocks = _look_up(data, places, counts, codes, lengths)
  out = np.empty(n, np.uint16)
  for i in range(0, lanes, _GROUP):
    part = np.concatenate([b[:, i : i + _GROUP] for b in blocks])
    stop = min(n, (i + _GROUP) * size)
    out[i * size : stop] = _collect(part, counts[i : i + _GROUP])
  used = np.add.reduceat(
    lengths.astype(np.uint8)[out], np.arange(lanes) * size, dtype=np.int64
  )
  if (used[:-1] != spans).any() or (used.sum() + 7) // 8 != len(data):
    raise ValueError(f'Damaged {reader.what}: the codes do not end as stated.')
  return out


def _split(n):
  """How many lanes, and how many symbols in each but the last."""
  size = -(-n // min(max(n // _SYMBOLS, 1), _LANES))
  return -(-n // size), size


def _words(total):
  return total // 32 + 3


def _look_up(data, places, counts, codes, lengths):
  """Entries of the table, in blocks `[steps, lanes]`, until all lanes end."""
  table = _table(codes, lengths)
  padded = np.zeros(len(data) + 8, np.uint8)
  padded[: len(data)] = np.frombuffer(data, np.uint8)
  window = padded[:-3].astype(np.uint32)
  for i in range(1, 4):
    window |= padded[i : len(padded) - 3 + i].astype(np.uint32) << np.uint32(
      8 * i
    )
  place, left, blocks = places.copy(), counts.copy(), []
  mask = np.uint32((1 << _WINDOW) - 1)
  while (most := int(left.max())) > 0:
    block = np.empty((-(-most // _AT_ONCE), len(places)), np.uint64)
    for row in block:
      bit = window.take(place >> 3, mode='clip')
      bit >>= (place & 7).astype(np.uint32)
      bit &= mask
      table.take(bit, out=row, mode='clip')
      place += (row >> np.uint64(56)).view(np.int64)
    left = left - (block >> np.uint64(48) & np.uint64(7)).sum(0).astype(
      np.int64
    )
    blocks.append(block)
  return blocks


def _collect(entries, counts):
  """The symbols of the entries, lane by lane."""
  entries = np.ascontiguousarray(entries.T)
  found = (entries >> np.uint64(48) & np.uint64(7)).astype(np.int64)
  before = np.cumsum(found, axis=1) - found
  found = np.minimum(found, counts[:, None] - before)
  symbols = np.empty((*entries.shape, _AT_ONCE), np.uint16)
  keep = np.empty(symbols.shape, bool)
  for i in range(_AT_ONCE):
    symbols[..., i] = entries >> np.uint64(_FIELD * i) & np.uint64(4095)
    keep[..., i] = found > i
  return symbols[keep]


def _table(codes, lengths):
  """For each window: four symbols of 12 bits, their number, bits used."""
  size = 1 << _WINDOW
  letter, length = np.zeros(size, np.int64), np.zeros(size, np.int64)
  for i in np.flatnonzero(lengths).tolist():
    letter[codes[i] :: 1 << lengths[i]] = i
    length[codes[i] :: 1 << lengths[i]] = lengths[i]
  windows = np.arange(size)
  entry, used, number = np.zeros((3, size), np.int64)
  going = np.ones(size, bool)
  for i in range(_AT_ONCE):
    rest = windows >> used
    going &= used + length[rest] <= _WINDOW
    entry |= np.where(going, letter[rest], 0) << _FIELD * i
    used += np.where(going, length[rest], 0)
    number += going
  return (entry | number << 48 | used << 56).astype(np.uint64)
