"""Damaged and hostile files: the tree or a `ValueError`, and little memory."""

import pathlib
import tracemalloc

import jax
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_files import (
  FIXED,
  ODD,
  framed,
  old_signed,
  parts,
  places,
  put,
  signed,
)

from jcompress import encoded
from jcompress.code import (
  archive,
  container,
  frames,
  header,
  layouts,
  streams,
  wire,
)


def _tree():
  rng = np.random.default_rng(0)
  codes = np.where(rng.random((30, 20)) < 0.2, rng.integers(1, 9, (30, 20)), 0)
  return {
    'a': encoded.Codebook(jnp.arange(9.0), jnp.asarray(codes, jnp.uint8)),
    'b': [
      encoded.Sparse(
        jnp.asarray(rng.normal(size=(8, 9)), jnp.float32),
        jnp.asarray(rng.random((8, 9)) < 0.3),
      ),
      (encoded.Signs(jnp.eye(5) > 0, jnp.float32(2)), None, {}),
    ],
    'c': encoded.LowRank(jnp.ones((6, 2)), jnp.ones((2, 4)), (2, 3, 4)),
    'd': encoded.Dense(jnp.asarray(rng.normal(size=40), jnp.float32)),
    'e': encoded.Dense(jnp.asarray(rng.integers(0, 5, 300), jnp.int32)),
    'f': encoded.Stacked(
      (
        encoded.Signs(jnp.eye(4) > 0, jnp.float32(2)),
        encoded.Dense(jnp.ones((4, 4))),
      ),
      (1,),
      (2,),
    ),
    'g': encoded.Blocks(
      jnp.asarray(codes[:10], jnp.uint8),
      jnp.full((5, 20), -3, jnp.int8),
      jnp.arange(9.0),
      tile=(0, 2),
    ),
    'h': encoded.Scaled(encoded.Dense(jnp.ones((4, 4))), jnp.ones((4, 1))),
    'i': encoded.Tied(encoded.Dense(jnp.arange(8.0)), 'repeat', (24,)),
  }


DATA = container.pack(_tree(), metadata={'step': 3})
FILES = pathlib.Path(__file__).parent / 'files'
THIRD = (FILES / 'version_3.jcz').read_bytes()
OLD = (FILES / 'version_1.jcz').read_bytes()


def _try(data):
  """Reads a file; every array that comes out is checked and decoded."""
  tracemalloc.start()
  try:
    artifact = archive.unpack(data)
    archive.sizes(data)
    for leaf in jax.tree.leaves(artifact.tree, is_leaf=encoded.is_encoded):
      if isinstance(leaf, encoded.Codebook) and leaf.codes.size:
        assert 0 <= int(leaf.codes.min()) <= int(leaf.codes.max())
        assert int(leaf.codes.max()) < leaf.centers.size
    encoded.decode(artifact.tree)
    return artifact
  except ValueError:
    return None
  finally:
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000 + 65536 * 16 * len(data)


def test_the_file_itself_is_read():
  assert _try(DATA).metadata == {'step': 3}
  assert _try(signed(*parts(DATA))).metadata == {'step': 3}
  assert _try(OLD).metadata == {'step': 3}


@pytest.mark.parametrize('file', [DATA, THIRD, OLD], ids='431')
def test_every_truncation_is_refused(file):
  for size in range(len(file)):
    with pytest.raises(ValueError):
      archive.unpack(file[:size])
    with pytest.raises(ValueError):
      archive.sizes(file[:size])


@pytest.mark.parametrize('file', [DATA, THIRD, OLD], ids='431')
@pytest.mark.parametrize(
  'bit', [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 8))]
)
def test_every_flipped_bit_is_refused(file, bit):
  for i in range(len(file)):
    data = bytearray(file)
    data[i] ^= 1 << (i + bit) % 8
    with pytest.raises(ValueError):
      archive.unpack(bytes(data))


def test_the_message_says_what_is_wrong():
  cases = {
    'Not a jcompress file': b'PK' + DATA[2:],
    'upgrade jcompress': DATA[: FIXED - 1] + b'\x09' + DATA[FIXED:],
    'checksum of its header': DATA[: FIXED + 9] + b'?' + DATA[FIXED + 10 :],
    'is damaged: the checksum': DATA[:-1] + b'?',
    r"begins with b''": b'',
    'Truncated, extended': DATA[:-20],
    'instead of': DATA + b'\0',
    'checksum of its 910 bytes': OLD[:-1],
  }
  for message, data in cases.items():
    with pytest.raises(ValueError, match=message):
      archive.unpack(data)


@pytest.mark.parametrize(
  'start', [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 72))]
)
def test_signed_flips_give_a_tree_or_a_value_error(start):
  head, body = parts(DATA)
  for i in range(start, len(body), 72):
    damaged = bytearray(body)
    damaged[i] ^= (1, 16, 128, 255)[i % 4]
    _try(signed(head, bytes(damaged)))
  for i in range(FIXED + start, len(OLD) - 8, 72):
    damaged = bytearray(OLD[:-8])
    damaged[i] ^= (1, 16, 128, 255)[i % 4]
    _try(old_signed(damaged))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_signed_splices_give_a_tree_or_a_value_error(data):
  head, body = parts(DATA)
  leaves = [leaf for leaf in head[2] if isinstance(leaf, list)]
  k = data.draw(st.integers(0, len(leaves) - 1))
  at = sum(leaf[1] for leaf in leaves[:k])
  record = body[at : at + leaves[k][1]]
  i = data.draw(st.integers(0, len(record)))
  j = data.draw(st.integers(i, min(len(record), i + 20)))
  middle = data.draw(st.binary(max_size=12))
  spliced = record[:i] + middle + record[j:]
  body = body[:at] + spliced + body[at + len(record) :]
  leaves[k][1] = len(spliced)
  _try(signed(head, body))


def test_signed_changes_of_the_header():
  few = {name: _tree()[name] for name in 'abd'}
  head, body = parts(container.pack(few, metadata={'step': 3}))

  accepted = 0
  for path in places(head):
    for value in ODD:
      artifact = _try(signed(put(head, path, value), body))
      if artifact is not None and path[:1] != (3,):
        accepted += 1
        assert len(jax.tree.leaves(artifact.tree)) <= 30
  assert accepted < 40


LEAF = [0, 5, 0, 0, 1]


@pytest.mark.parametrize(
  'head',
  [
    [[0] + [0] * 5, ['Dense'], [[0, 2**40, 0, 0]]],
    [{'a': 0}, ['Dense'], [[0, -5, 0, 0]]],
    [{'a': 0}, ['Dense'], [[5, 5, 0, 0]]],
    [{'a': 0}, ['Encoded'], [LEAF]],
    [{'a': 0}, ['object'], [LEAF]],
    [{'a': 0}, [[]], [LEAF]],
    [{'a': 9}, ['Dense'], [LEAF]],
    [{}, ['Dense'], [LEAF]],
    [{'a': 0}, ['Dense'], [[0]]],
    [{'a': 0}, ['Dense'], {}],
    [{'a': 0}, ['Dense'], [0]],
    [{'a': 0, 'b': 1}, ['Dense'], [LEAF, 1]],
    [{'a': 0}, ['Dense'], [[0, 5, 0, 99]]],
    [{'a': 0}, ['Dense'], [[0, 5, 0, 0, 2**31]]],
    [{'a': 0}, ['Dense'], [[0, 5, 0, 0, 2**30, 2**30]]],
    [{'a': 0}, ['Dense'], [[0, 5, 2**62, 0, 1]]],
    [{'a': 0}, ['Dense'], [LEAF], []],
    [],
    {},
    7,
  ],
)
def test_headers_that_lie(head):
  with pytest.raises(ValueError):
    archive.unpack(signed(head, b'\0\x04\0\0\0'))


def test_a_shape_that_lies_is_refused():
  head, body = parts(container.pack({'a': np.arange(7, dtype=np.float32)}))
  for i, value in ((3, 3), (4, 9), (2, 2**19)):
    other = [*head[:2], [[*head[2][0]]]]
    other[2][0][i] = value
    if i == 2:  # more room is no other leaf
      assert _try(signed(other, body)) is not None
    else:
      with pytest.raises(ValueError, match='a'):
        archive.unpack(signed(other, body))


def test_many_references_to_one_leaf_are_refused():
  head = [[0] + [0] * 10**6, ['Dense'], [LEAF]]
  packed = msgpack.packb(head)
  small = wire.varint(len(packed)) + frames.deflate(packed)
  file = framed(wire.varint(2 * len(small) + 1) + small)
  assert len(file) < 300
  with pytest.raises(ValueError, match='Damaged header: 1000'):
    archive.unpack(file + b'\0\x04\0\0\0')


def test_a_mask_of_more_entries_than_its_leaf_is_refused():
  mask = np.zeros((3000, 3000), bool)
  leaf = encoded.Sparse(jnp.zeros(mask.shape), jnp.asarray(mask))
  head, body = parts(container.pack({'a': leaf}))
  body = layouts.encode(leaf, 'auto', 'a')
  head[2][0] = [0, len(body), 0, 11, 30, 30]
  tracemalloc.start()
  with pytest.raises(ValueError, match='9000000 entries'):
    archive.unpack(signed(head, body))
  assert tracemalloc.get_traced_memory()[1] < 1_000_000
  tracemalloc.stop()


def test_old_files_are_bounded_too():
  many = [encoded.Dense(np.zeros((2**20, 3), np.int8) + i) for i in range(40)]
  records = [layouts.encode(leaf, 'auto', 'a') for leaf in many]
  plan = [0, *range(40)]
  table = [x for r in records for x in (0, len(r))]
  head = msgpack.packb([plan, ['Dense'], table])
  body = header.MAGIC + b'\1' + wire.varint(2 * len(head)) + head
  data = old_signed(body + b''.join(records))
  assert len(data) < 4000
  with pytest.raises(ValueError, match='larger max_bytes'):
    archive.unpack(data)
  assert len(archive.unpack(data, max_bytes=2**27).tree) == 40


def test_headers_that_are_deep():
  deep = []
  for _ in range(400):
    deep = [0, deep]
  with pytest.raises(ValueError, match='deep'):
    archive.unpack(signed([deep, [], []], b''))


def test_a_header_that_is_a_bomb():
  frame = frames.deflate(bytes(200_000_000))
  for length in (10, 200_000_000, 2**60):
    head = wire.varint(length) + frame
    assert _try(framed(wire.varint(2 * len(head) + 1) + head)) is None


@pytest.mark.parametrize('coder', streams.CODERS)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_signed_damage_of_records_under_each_coder(coder, data):
  rng = np.random.default_rng(0)
  codes = np.minimum(rng.exponential(2, (50, 60)), 15).astype(np.uint8)
  leaf = encoded.Codebook(jnp.arange(16.0), jnp.asarray(codes))
  head, body = parts(container.pack({'w': leaf}, coder=coder))
  body = bytearray(body)
  for _ in range(data.draw(st.integers(1, 3))):
    i = data.draw(st.integers(0, len(body) - 1))
    body[i] = data.draw(st.integers(0, 255))
  _try(signed(head, bytes(body)))
