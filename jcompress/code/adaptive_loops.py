"""The model of neighbours, and the reader of its rANS stream: integers only.

A matrix of signed codes `v` is walked row by row. `m = min(|v|, cap)` of what
stands above in the column, to the left in the row and at two distances to the
left give each entry a class, 0 to 63: its expected size. A class has counts of
`|v|`, and a table of 4,096 slots made of them now and then. Signs have a
probability for each pair of signs at the two distances.

The reader walks the same loop as the writer, so that both see one model.

References:
  Duda, "Asymmetric numeral systems", 2009, arXiv:0902.0271.
  Wiegand et al., "Compression of neural networks for multimedia content
  description and analysis", ISO/IEC 15938-17: context coding of weights.
"""

import numpy as np

from jcompress.code.compiled import compiled

CLASSES = 64
SLOTS_LOG = 12
_SLOTS = 1 << SLOTS_LOG
LOW = 1 << 16  # of the state of the coder
_MANY = 1 << 20  # counts are halved there: sums of products stay below 2^60


@compiled
def lg(n, table):
  """`64 log2 n`, rounded, for `n` of at least 1; exact below 65,536."""
  whole = 0
  while n >= 65536:
    n >>= 1
    whole += 64
  return table[n] + whole


@compiled
def build(of_class, pool, prior, freq, start, slots):
  """Shares of 4,096 for the sizes of one class.

  Args:
    of_class: `[K + 1]`, how often each size came in the class.
    pool: `[K + 1]`, how often it came at all; of sizes from 1.
    prior: of a size above 0, in 1 / 65,536.
    freq: `[K + 1]`, is filled; the sum is 4,096.
    start: `[K + 1]`, is filled with the sums before.
    slots: `[4096]` to be filled with sizes, or empty.
  """
  most = len(freq) - 1
  others, all_others = 0, 0
  for k in range(1, most + 1):
    others += of_class[k]
    all_others += pool[k]
  n = of_class[0] + others
  above = ((others << 16) + 6 * prior) // (n + 6)
  free = _SLOTS - most - 1
  freq[0] = ((65536 - above) * free >> 16) + 1
  share = above * free >> 16
  parts = (others + 24) * all_others
  total, best = freq[0], 0
  for k in range(1, most + 1):
    part = ((of_class[k] * all_others + 24 * pool[k]) << 16) // parts
    freq[k] = (share * part >> 16) + 1
    total += freq[k]
    if freq[k] > freq[best]:
      best = k
  freq[best] += _SLOTS - total
  at = 0
  for k in range(most + 1):
    start[k] = at
    at += freq[k]
    if len(slots):
      slots[start[k] : at] = k


@compiled
def halve(counts, more):
  """Halves counts, rounding up if `more` is 1; gives their sum."""
  total = 0
  for k in range(len(counts)):
    counts[k] = (counts[k] + more) >> 1
    total += counts[k]
  return total


@compiled
def walk(
  symbols,
  zero,
  highest,
  near,
  far,
  cap,
  shift,
  unit,
  weights,
  lgs,
  priors,
  stream,
  reading,
):
  """Reads the symbols of a stream, or lists the events that make up one.

  Args:
    symbols: int16 `[rows, columns]`, in `0 .. highest`; filled when reading.
    zero: the symbol that stands for 0; a symbol less it is `v`.
    highest: symbol.
    near: distance to the left, from 1.
    far: a longer one, up to `columns`, or 0 for none.
    cap: of sizes in the sums.
    shift: of the weighted sum.
    unit: 16 times the mean size, at least 1.
    weights: int64 `[7]`.
    lgs: the table of `lg`.
    priors: int64 `[64]`, of the classes, see `build`.
    stream: uint32, the words of 16 bits to read; or is filled with events, in
      each the first slot and from bit 16 on the number of slots.
    reading: whether it is words.

  Returns:
    How many events, or words, there are; -1 if the words are too few or do not
    end with the symbols.
  """
  rows, columns = symbols.shape
  below, above = zero, highest - zero
  most = max(below, above)
  counts = np.zeros((CLASSES, most + 1), np.int64)
  freq = np.zeros((CLASSES, most + 1), np.int64)
  start = np.zeros((CLASSES, most + 1), np.int64)
  slots = np.zeros((CLASSES, _SLOTS if reading else 0), np.uint8)
  seen = np.zeros(CLASSES, np.int64)
  left = np.zeros(CLASSES, np.int64)
  pool = np.zeros(most + 1, np.int64)
  for k in range(1, most + 1):
    pool[k] = max(1, 16 >> min((k - 1) // max(1, most // 8), 6))
  pooled = pool.sum()
  minus = np.full(9, 2048, np.int64)
  age = np.full(9, 4, np.int64)
  if far == 0:
    far = columns + near
  pad = max(2 * near, far)
  size = np.zeros(pad + columns, np.uint8)
  side = np.ones(pad + columns, np.uint8)
  beside = np.zeros((4, cap + 1), np.int64)
  for k in range(cap + 1):
    for d in range(4):
      beside[d, k] = weights[3 + d] * lg(16 * k + unit, lgs)
  ahead = np.zeros(columns, np.int64)
  for j in range(columns):
    ahead[j] = weights[0] - weights[2] * lg((j + 6) * unit, lgs)
  column = np.zeros(columns, np.int64)
  column_part = np.full(columns, weights[1] * lg(6 * unit, lgs))
  flat = not weights.any()
  at = 0
  x = 0
  if reading:
    if len(stream) < 2:
      return -1
    x = np.int64(stream[0]) << 16 | np.int64(stream[1])
    at = 2
  for i in range(rows):
    row = 0
    row_part = weights[2] * lg(6 * unit, lgs)
    row_part -= weights[1] * lg((i + 6) * unit, lgs)
    for j in range(columns):
      p = pad + j
      c = CLASSES // 2
      if not flat:
        sum_ = ahead[j] + column_part[j] + row_part
        sum_ += beside[0, size[p - near]] + beside[1, size[p - 2 * near]]
        sum_ += beside[2, size[p - far]] + beside[3, size[p - far + near]]
        c = min(max((sum_ >> shift) + CLASSES // 2, 0), CLASSES - 1)
      if left[c] == 0:
        build(counts[c], pool, priors[c], freq[c], start[c], slots[c])
        left[c] = min(max(seen[c] // 2, 8), 2048)
      left[c] -= 1
      if reading:
        slot = x & (_SLOTS - 1)
        k = np.int64(slots[c, slot])
        x = freq[c, k] * (x >> SLOTS_LOG) + slot - start[c, k]
        if x < LOW:
          if at == len(stream):
            return -1
          x = x << 16 | np.int64(stream[at])
          at += 1
      else:
        v = np.int64(symbols[i, j]) - zero
        k = abs(v)
        stream[at] = freq[c, k] << 16 | start[c, k]
        at += 1
      counts[c, k] += 1
      seen[c] += 1
      if seen[c] == _MANY:
        seen[c] = halve(counts[c], 0)
      if k == 0:
        size[p] = 0
        side[p] = 1
        if reading:
          symbols[i, j] = zero
        continue
      pool[k] += 1
      pooled += 1
      if pooled == _MANY:
        pooled = halve(pool, 1)
      negative = k > above
      if k <= below and k <= above:
        pair = 3 * side[p - near] + side[p - far]
        share = minus[pair]
        if reading:
          slot = x & (_SLOTS - 1)
          negative = slot < share
          if negative:
            x = share * (x >> SLOTS_LOG) + slot
          else:
            x = (_SLOTS - share) * (x >> SLOTS_LOG) + slot - share
          if x < LOW:
            if at == len(stream):
              return -1
            x = x << 16 | np.int64(stream[at])
            at += 1
        else:
          negative = v < 0
          if negative:
            stream[at] = share << 16
          else:
            stream[at] = (_SLOTS - share) << 16 | share
          at += 1
        if negative:
          share += (_SLOTS - share) // age[pair]
        else:
          share -= share // age[pair]
        minus[pair] = min(max(share, 64), _SLOTS - 64)
        age[pair] = min(age[pair] + 1, 200)
      if reading:
        symbols[i, j] = zero - k if negative else zero + k
      side[p] = 0 if negative else 2
      m = min(k, cap)
      size[p] = m
      row += m
      column[j] += m
      column_part[j] = weights[1] * lg(16 * column[j] + 6 * unit, lgs)
      row_part = weights[2] * lg(16 * row + 6 * unit, lgs)
      row_part -= weights[1] * lg((i + 6) * unit, lgs)
  if reading and (x != LOW or at != len(stream)):
    return -1
  return at
