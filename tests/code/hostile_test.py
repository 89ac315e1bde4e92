"""Damaged and hostile files: the tree or a `ValueError`, and little memory."""

import hashlib
import tracemalloc

import jax
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress import encoded
from jcompress.code import container, streams, wire

FIXED = len(container.MAGIC) + 1


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


def _sign(body):
  return body + hashlib.blake2b(body, digest_size=8).digest()


def _parts(data):
  reader = wire.Reader(data[FIXED:-8], 'test')
  header = reader.take(reader.varint() >> 1)
  return msgpack.unpackb(header, strict_map_key=False), reader.rest()


def _build(header, body):
  packed = msgpack.packb(header)
  return _sign(DATA[:FIXED] + wire.varint(2 * len(packed)) + packed + body)


def _try(data):
  """Reads a file; every array that comes out is checked and decoded."""
  tracemalloc.start()
  try:
    artifact = container.unpack(data)
    container.sizes(data)
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
  assert _build(*_parts(DATA)) == DATA


def test_every_truncation_is_refused():
  for size in range(len(DATA)):
    with pytest.raises(ValueError):
      container.unpack(DATA[:size])
    with pytest.raises(ValueError):
      container.sizes(DATA[:size])


def test_every_flipped_bit_is_refused():
  for i in range(8 * len(DATA)):
    data = bytearray(DATA)
    data[i // 8] ^= 1 << i % 8
    with pytest.raises(ValueError):
      container.unpack(bytes(data))


def test_the_message_says_what_is_wrong():
  cases = {
    'Not a jcompress file': b'PK' + DATA[2:],
    'upgrade jcompress': DATA[: FIXED - 1] + b'\x09' + DATA[FIXED:],
    'checksum': DATA[:-20],
    'bytes too many': _sign(DATA[:-8] + b'\0\0'),
    'Truncated file': _sign(DATA[:-30]),
    r'begins with b\'\'': b'',
  }
  cases['checksum of its'] = DATA + b'\0'
  for message, data in cases.items():
    with pytest.raises(ValueError, match=message):
      container.unpack(data)


def test_every_signed_truncation_is_refused():
  for size in range(len(DATA) - 8):
    with pytest.raises(ValueError):
      container.unpack(_sign(DATA[:size]))


@pytest.mark.parametrize(
  'start', [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 9))]
)
def test_signed_flips_give_a_tree_or_a_value_error(start):
  for i in range(FIXED + start, len(DATA) - 8, 9):
    body = bytearray(DATA[:-8])
    body[i] ^= (1, 16, 128, 255)[i % 4]
    _try(_sign(bytes(body)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_signed_splices_give_a_tree_or_a_value_error(data):
  body = DATA[FIXED:-8]
  i = data.draw(st.integers(0, len(body)))
  j = data.draw(st.integers(i, min(len(body), i + 20)))
  middle = data.draw(st.binary(max_size=12))
  _try(_sign(DATA[:FIXED] + body[:i] + middle + body[j:]))


SPLICES = [-1, 0, 7, 2**31, 2**62, 2**64 - 1, 1.5, None, True, 'x', b'', [], {}]


def test_signed_changes_of_the_header():
  header, body = _parts(DATA)

  def places(node, path=()):
    yield path
    if isinstance(node, list):
      for i, x in enumerate(node):
        yield from places(x, (*path, i))
    if isinstance(node, dict):
      for k, x in node.items():
        yield from places(x, (*path, k))

  def put(node, path, value):
    if not path:
      return value
    node = list(node) if isinstance(node, list) else dict(node)
    node[path[0]] = put(node[path[0]], path[1:], value)
    return node

  accepted = 0
  for path in places(header):
    for value in SPLICES:
      artifact = _try(_build(put(header, path, value), body))
      if artifact is not None and path[:1] != (3,):
        accepted += 1
        assert len(jax.tree.leaves(artifact.tree)) <= 30
  assert accepted < 40


@pytest.mark.parametrize(
  'header',
  [
    [[0] + [0] * 5, ['Dense'], [0, 2**40]],
    [{'a': 0}, ['Dense'], [0, -5]],
    [{'a': 0}, ['Dense'], [5, 5]],
    [{'a': 0}, ['Encoded'], [0, 5]],
    [{'a': 0}, ['object'], [0, 5]],
    [{'a': 0}, [[]], [0, 5]],
    [{'a': 9}, ['Dense'], [0, 5]],
    [{}, ['Dense'], [0, 5]],
    [{'a': 0}, ['Dense'], [0]],
    [{'a': 0}, ['Dense'], {}],
    [{'a': 0}, ['Dense'], [0, 5], []],
    [],
    {},
    7,
  ],
)
def test_headers_that_lie(header):
  with pytest.raises(ValueError):
    container.unpack(_build(header, b'\0\x04\0\0\0'))


def test_headers_that_are_deep():
  deep = []
  for _ in range(400):
    deep = [0, deep]
  with pytest.raises(ValueError, match='deep'):
    container.unpack(_build([deep, [], []], b''))


def test_a_header_that_is_a_bomb():
  frame = streams.deflate(bytes(200_000_000))
  for length in (10, 200_000_000, 2**60):
    header = wire.varint(length) + frame
    body = DATA[:FIXED] + wire.varint(2 * len(header) + 1) + header
    assert _try(_sign(body)) is None


@pytest.mark.parametrize('coder', ['raw', 'huffman', 'zstd', 'ans'])
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_signed_damage_of_records_under_each_coder(coder, data):
  rng = np.random.default_rng(0)
  codes = np.minimum(rng.exponential(2, (50, 60)), 15).astype(np.uint8)
  leaf = encoded.Codebook(jnp.arange(16.0), jnp.asarray(codes))
  body = bytearray(container.pack({'w': leaf}, coder=coder)[:-8])
  for _ in range(data.draw(st.integers(1, 3))):
    i = data.draw(st.integers(FIXED, len(body) - 1))
    body[i] = data.draw(st.integers(0, 255))
  artifact = _try(_sign(bytes(body)))
  if artifact is not None and isinstance(artifact.tree, dict):
    assert len(artifact.tree) <= 1
