"""Tests of the walk of the model of neighbours."""

import zlib

import numpy as np
import pytest

from jcompress.code import adaptive_loops, adaptive_tables, adaptive_words


def matrix(rows, columns, m):
  """Seven of ten entries 0, the others up to `m` in size, by one recurrence."""
  out, s = [], 1
  for _ in range(rows * columns):
    s = (1103515245 * s + 12345) % 2**31
    r = s >> 16
    a = 0 if r % 10 < 7 else r // 10 % m + 1
    out.append(-a if r // 1000 % 2 == 0 else a)
  return np.array(out).reshape(rows, columns)


def settings(v, far, unit, weights):
  """Arguments of `walk` behind the symbols, and the symbols of `v`."""
  k = int(np.abs(v).max())
  weights = np.array(weights, np.int64)
  weights[0] += 256
  tables = adaptive_tables.logarithms(), adaptive_tables.priors(unit, 8, 9)
  symbols = (np.asarray(v) + k).astype(np.int16)
  return symbols, (k, 2 * k, 1, far, 8, 9, unit, weights, *tables)


def write(symbols, given, walk=adaptive_loops.walk):
  events = np.zeros(2 * symbols.size, np.uint32)
  n = walk(symbols, *given, events, False)
  words = np.zeros(n + 2, np.uint16)
  return words[adaptive_words.to_words(events[:n], words) :].astype(np.uint32)


NONE = [0] * 7
SMALL = np.array([[0, 1, -1, 2], [0, 0, 3, -2]])
KNOWN = [
  (np.zeros((3, 5), int), 0, 1, NONE, 4, '2086b52b', '00010000'),
  (SMALL, 0, 14, NONE, 6, 'e8be5654', '001885f356d8'),
  (matrix(16, 24, 3), 0, 10, NONE, 80, '083b41c3', '00018b885788d89a'),
  (
    *(matrix(64, 56, 7), 28, 19, [-1500, 27, 25, 8, 4, 6, 3]),
    *(946, 'd29baf00', '001e4e493b812efe'),
  ),
  (matrix(64, 56, 7), 0, 19, NONE, 910, '3bfa6326', '00b87ee468256b59'),
]


@pytest.mark.parametrize('case', KNOWN, ids=lambda c: c[5])
def test_known_answers(case):
  v, far, unit, weights, size, crc, first = case
  symbols, given = settings(v, far, unit, weights)
  words = write(symbols, given)
  data = words.astype('>u2').tobytes()
  assert len(data) == size
  assert f'{zlib.crc32(data):08x}' == crc
  assert data.hex().startswith(first)
  back = np.full_like(symbols, -1)
  assert adaptive_loops.walk(back, *given, words, True) == len(words)
  np.testing.assert_array_equal(back, symbols)


@pytest.mark.parametrize('case', KNOWN[1:4], ids=lambda c: c[5])
def test_the_source_gives_what_the_compiled_loop_gives(case, monkeypatch):
  symbols, given = settings(*case[:4])
  words = write(symbols, given)
  walk = adaptive_loops.walk.py_func
  for name in ('lg', 'build'):
    plain = getattr(adaptive_loops, name).py_func
    monkeypatch.setattr(adaptive_loops, name, plain)
  np.testing.assert_array_equal(write(symbols, given, walk), words)
  plain = adaptive_words.to_words.py_func
  monkeypatch.setattr(adaptive_words, 'to_words', plain)
  np.testing.assert_array_equal(write(symbols, given, walk), words)
  back = np.full_like(symbols, -1)
  assert walk(back, *given, words, True) == len(words)
  np.testing.assert_array_equal(back, symbols)


def test_counts_are_halved_before_they_overflow():
  rng = np.random.default_rng(0)
  v = np.clip(np.round(rng.normal(0, 1.5, (1500, 1600))), -7, 7)
  v[:750] *= -1
  symbols, given = settings(v.astype(int), 0, 20, NONE)
  words = write(symbols, given)
  counts = np.unique(symbols, return_counts=True)[1]
  entropy = -(counts * np.log2(counts / counts.sum())).sum() / 16
  assert entropy < len(words) < 1.002 * entropy
  back = np.empty_like(symbols)
  assert adaptive_loops.walk(back, *given, words, True) == len(words)
  np.testing.assert_array_equal(back, symbols)


def test_a_stream_that_ends_elsewhere_is_refused():
  symbols, given = settings(*KNOWN[3][:4])
  words = write(symbols, given)
  back = np.empty_like(symbols)
  read = lambda w: adaptive_loops.walk(back, *given, w, True)
  for size in range(len(words)):
    assert read(words[:size]) == -1
  assert read(np.append(words, np.uint32(0))) == -1
  longer = np.empty((65, 56), np.int16)
  assert adaptive_loops.walk(longer, *given, words, True) == -1


def test_the_sign_of_the_larger_side_costs_nothing():
  v = np.abs(matrix(64, 56, 7))
  symbols, given = settings(v, 0, 19, NONE)
  both = write(symbols, given)
  one_sided = symbols - 7
  alone = write(one_sided.astype(np.int16), (0, 7, *given[2:]))
  kept = np.count_nonzero(v)
  assert len(alone) < len(both) - kept * 0.02 / 16
  back = np.empty_like(symbols)
  adaptive_loops.walk(back, 0, 7, *given[2:], alone, True)
  np.testing.assert_array_equal(back, v)


def test_logarithms_of_large_numbers():
  table = adaptive_tables.logarithms()
  for n in (1, 2, 3, 65535, 65536, 10**6, 2**40, 2**40 + 2**33):
    assert abs(adaptive_loops.lg(n, table) - 64 * np.log2(n)) < 0.51


@pytest.mark.parametrize('k', [1, 3, 15, 255])
@pytest.mark.parametrize('n', [0, 40, 2**20 - 1])
def test_shares_of_a_class_fill_the_slots(k, n):
  counts = np.zeros(k + 1, np.int64)
  counts[0], counts[k] = n // 2, n - n // 2
  pool = np.ones(k + 1, np.int64)
  pool[0], pool[k] = 0, 2**20
  freq, start = np.zeros((2, k + 1), np.int64)
  slots = np.zeros(4096, np.uint8)
  adaptive_loops.build(counts, pool, 30000, freq, start, slots)
  assert freq.sum() == 4096 and freq.min() >= 1
  np.testing.assert_array_equal(slots, np.repeat(np.arange(k + 1), freq))
  np.testing.assert_array_equal(start, np.cumsum(freq) - freq)
  if n == 40:
    share = (20 * 65536 + 6 * 30000) / 46 / 65536
    assert abs(freq[1:].sum() / 4096 - share) < (k + 2) / 4096
