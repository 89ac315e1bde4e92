import numpy as np
import pytest

from jcompress.code import codes, masks, streams, wire


def _round_trip(x, coder='auto'):
  way, record = codes.encode(x, coder)
  return way, codes.decode(wire.Reader(record, 'test'), way, x.shape)


@pytest.mark.parametrize('high', [2, 256, 257, 2**32])
@pytest.mark.parametrize('coder', ['auto', *streams.CODERS])
def test_codes_survive_with_and_without_a_commonest_one(high, coder):
  rng = np.random.default_rng(0)
  many = rng.integers(0, high, (50, 40), dtype=np.uint32)
  many[0, 0] = high - 1
  few = np.where(rng.random(many.shape) < 0.02, many, high // 2)
  for x in (many, few.astype(np.uint32)):
    _, back = _round_trip(x, coder)
    np.testing.assert_array_equal(back, x)


def test_they_are_not_flat_only_where_that_is_smaller():
  rng = np.random.default_rng(0)
  rows = rng.random((400, 100)) < rng.random((400, 1)) ** 6
  pruned = np.where(rows, rng.integers(1, 16, rows.shape), 0)
  assert _round_trip(pruned, 'ans')[0] == codes.SPLIT
  assert _round_trip(pruned)[0] != codes.FLAT
  for coder in ('ans', 'auto'):
    for other in (
      rng.integers(0, 16, (400, 100)),
      np.zeros((400, 100), np.uint8),
      np.zeros((0, 3), np.uint8),
    ):
      assert _round_trip(other, coder)[0] == codes.FLAT


@pytest.mark.parametrize('shape', [(300, 200), (30, 20), (3, 3, 5, 8)])
@pytest.mark.parametrize('density', [0.002, 0.1, 1])
def test_auto_is_the_smallest_or_nearly_so(shape, density):
  rng = np.random.default_rng(0)
  scale = density * rng.random(shape[:-1] + (1,)) * rng.random(shape[-1])
  x = np.where(rng.random(shape) < 4 * scale, rng.integers(1, 16, shape), 0)
  sizes = [len(codes.encode(x, c)[1]) for c in streams.CODERS]
  assert len(codes.encode(x)[1]) <= min(sizes)


def test_ranks_undo_the_order_of_codes():
  rng = np.random.default_rng(0)
  x = np.where(rng.random((90, 70)) < rng.random((90, 1)) ** 6, 3, 0)
  x[rng.random(x.shape) < 0.02] = 1
  ranks = np.array([1, 0, 3, 2])
  way, record = codes.encode(x, 'context', 0, ranks)
  assert way == codes.JOINT and record[1] == 1
  read = lambda r: codes.decode(wire.Reader(record, ''), way, x.shape, r)
  np.testing.assert_array_equal(read(ranks), x)
  np.testing.assert_array_equal(read(None), ranks[x])
  with pytest.raises(ValueError, match='code 2 of 2 centers'):
    read(np.array([1, 0]))


def test_a_commonest_code_that_lies_is_refused():
  rng = np.random.default_rng(0)
  x = np.where(rng.random((60, 60)) < rng.random((60, 1)) ** 6, 3, 0)
  way, record = codes.encode(x, 'ans')
  assert way == codes.SPLIT and record[0] == 0
  lie = wire.varint(1 << 40) + record[1:]
  with pytest.raises(ValueError, match='not a code'):
    codes.decode(wire.Reader(lie, 'test'), codes.SPLIT, x.shape)


def test_codes_are_split_only_where_that_may_pay(monkeypatch):
  rng = np.random.default_rng(0)
  values = rng.integers(1, 16, (200, 100))
  tried = []
  for name in ('encode', 'encode_likely'):
    call = getattr(masks, name)
    seen = lambda *x, call=call, **y: tried.append(1) or call(*x, **y)
    monkeypatch.setattr(masks, name, seen)
  alike = np.clip(np.round(rng.laplace(7, 2, values.shape)), 0, 14)
  codes.encode(alike.astype(int), zero=7)
  assert not tried
  block = np.outer(rng.random(200) < 0.7, rng.random(100) < 0.7)
  every_fourth = np.arange(100) % 4 == np.arange(200)[:, None] // 50
  for kept in (block, every_fourth):
    x = np.where(kept, values, 0)
    way, record = codes.encode(x, zero=0)
    assert tried and (way != codes.SPLIT or len(record) < kept.sum() / 2 + 200)
    tried.clear()


def test_sizes_that_tell_the_sign_are_split():
  rng = np.random.default_rng(0)
  kept = np.cumsum(rng.random((300, 300)) < 0.1, 1) % 2 == 1  # runs of ten
  x = np.where(kept, rng.choice([-1, 2], kept.shape), 0) + 2
  joint = len(codes.encode(x, 'context', zero=2)[1])
  way, record = codes.encode(x, zero=2)
  assert way == codes.SPLIT
  assert len(record) < joint - 0.9 * kept.sum() / 8
  back = codes.decode(wire.Reader(record, 'codes'), way, x.shape)
  np.testing.assert_array_equal(back, x)
