"""Tests of the file."""

import dataclasses
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress import encoded
from jcompress.code import archive, container, heads


def _leaf(seed):
  rng = np.random.default_rng(seed)
  shape = tuple(rng.integers(0, 6, rng.integers(0, 4)))
  kind = seed % 4
  values = jnp.asarray(rng.normal(size=shape), jnp.float32)
  if kind == 0:
    return encoded.Dense(values)
  if kind == 1:
    return encoded.Signs(jnp.asarray(rng.random(shape) < 0.5), jnp.float32(0.1))
  if kind == 2:
    return encoded.Sparse(values, jnp.asarray(rng.random(shape) < 0.2))
  codes = jnp.asarray(rng.integers(0, 4, shape), jnp.uint8)
  return encoded.Codebook(jnp.arange(4.0), codes)


RNG = np.random.default_rng(0)
TREES = st.recursive(
  st.none() | st.integers(0, 10**6).map(_leaf),
  lambda x: (
    st.lists(x, max_size=3)
    | st.lists(x, max_size=3).map(tuple)
    | st.dictionaries(st.text('ab/é', max_size=3), x, max_size=3)
    | st.dictionaries(st.integers(-5, 300), x, max_size=2)
  ),
  max_leaves=6,
)


def _net(seed=0):
  rng = np.random.default_rng(seed)
  tree = {}
  for i, (m, n) in enumerate([(784, 300), (300, 100), (100, 10)]):
    codes = np.clip(np.round(rng.laplace(0, 3, (m, n))) + 16, 1, 31)
    codes = np.where(rng.random((m, n)) < 0.08, codes, 0).astype(np.uint8)
    centers = np.append(0, np.linspace(-0.3, 0.3, 31)).astype(np.float32)
    bias = rng.normal(size=n).astype(np.float32)
    tree[f'fc{i + 1}'] = {
      'kernel': encoded.Codebook(jnp.asarray(centers), jnp.asarray(codes)),
      'bias': encoded.Dense(jnp.asarray(bias)),
    }
  return tree


def _same(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    x, y = np.asarray(x), np.asarray(y)
    assert x.dtype == y.dtype and x.shape == y.shape
    assert x.tobytes() == y.tobytes()


@settings(max_examples=40, deadline=None)
@given(TREES, st.sampled_from(['auto', 'raw', 'huffman', 'zstd', 'ans']))
def test_round_trip(tree, coder):
  data = container.pack(tree, coder=coder)
  back = archive.unpack(data)
  assert back.metadata == {}
  _same(encoded.decode(back.tree), encoded.decode(tree))
  assert container.pack(tree, coder=coder) == data
  assert container.pack(back.tree, coder=coder) == data
  sizes = archive.sizes(data)
  assert sum(sizes.leaves.values()) + sizes.overhead == len(data)


def test_a_small_net_is_near_its_entropy():
  tree = _net()
  data = container.pack(tree)
  assert archive.sizes(data).overhead < 200
  assert len(data) < 1.005 * encoded.bits(tree) / 8
  _same(archive.unpack(data).tree, tree)
  for coder in ('raw', 'huffman', 'zstd', 'ans'):
    other = container.pack(tree, coder=coder)
    assert len(data) <= len(other)
    _same(archive.unpack(other).tree, tree)


def test_an_empty_tree_is_a_few_bytes():
  assert len(container.pack({})) < 30
  assert archive.unpack(container.pack({})) == ({}, {})


def test_arrays_come_back_dense():
  back = archive.unpack(
    container.pack({'a': np.arange(3.0, dtype=np.float32)})
  ).tree
  assert isinstance(back['a'], encoded.Dense)
  assert back['a'].values.dtype == np.float32


@pytest.mark.parametrize(
  'values',
  [
    np.array([[-(2**62), 0, 2**40 + 1]], np.int64),
    np.array([0, 2**64 - 1], np.uint64),
    np.arange(2**40, 2**40 + 300, dtype=np.int64),
    np.random.default_rng(0).normal(size=(20, 30)),
    np.array(np.pi),
    np.zeros((0, 3), np.int64),
  ],
)
@pytest.mark.parametrize('coder', ['auto', 'raw', 'huffman', 'zstd', 'ans'])
def test_64_bits_are_kept_where_jax_has_32(values, coder):
  assert not jax.config.jax_enable_x64
  tree = {'leaf': encoded.Dense(values), 'array': values}
  back = archive.unpack(container.pack(tree, coder=coder)).tree
  want = {'leaf': encoded.Dense(values), 'array': encoded.Dense(values)}
  _same(back, want)
  _same(encoded.decode(back), encoded.decode(want))


def test_metadata():
  metadata = {'a': [1, 2.5, None, {'b': True, 3: b'x'}], 'é': 'ü'}
  data = container.pack({}, metadata=metadata)
  assert archive.unpack(data).metadata == metadata
  for bad in ({'a': np.float32(1)}, {'a': (1,)}, [1], {'a': object()}):
    with pytest.raises(ValueError, match='metadata'):
      container.pack({}, metadata=bad)


def test_tied_and_equal_leaves_are_stored_once():
  leaf = encoded.Dense(jnp.asarray(np.random.default_rng(0).normal(size=500)))
  copy = encoded.Dense(jnp.array(leaf.values))
  one = container.pack({'a': leaf})
  data = container.pack({'a': leaf, 'b': leaf, 'c': copy})
  assert len(data) < len(one) + 16
  tree = archive.unpack(data).tree
  assert tree['a'] is tree['b'] is not tree['c']
  sizes = archive.sizes(data)
  assert sizes.leaves['a'] > 0 == sizes.leaves['b'] == sizes.leaves['c']


def test_arrays_made_while_packing_are_not_taken_for_each_other():
  tree = {str(i): jnp.full(100, i, jnp.int32) for i in range(50)}
  back = archive.unpack(container.pack(tree)).tree
  _same(encoded.decode(back), tree)


def test_equal_bytes_of_other_kinds_are_not_tied():
  x = jnp.zeros((2, 2))
  tree = {'a': encoded.Dense(x), 'b': encoded.Dense(x.astype(jnp.int32))}
  _same(archive.unpack(container.pack(tree)).tree, tree)


def test_nan_names_its_leaf():
  values = jnp.array([1.0, jnp.nan])
  tree = {'fc1': {'bias': encoded.Sparse(values, jnp.ones(2, bool))}}
  with pytest.raises(ValueError, match='fc1/bias has NaN'):
    container.pack(tree)
  tree = {'fc1': {'bias': encoded.Dense(values)}}  # as it is
  _same(archive.unpack(container.pack(tree)).tree, tree)


def test_unknown_coder():
  with pytest.raises(ValueError, match="'lzma'"):
    container.pack({}, coder='lzma')


def test_save_and_load(tmp_path):
  path = tmp_path / 'net.jcz'
  size = container.save(path, _net(), metadata={'step': 3})
  assert size == os.path.getsize(path)
  artifact = archive.load(path)
  assert artifact.metadata == {'step': 3}
  _same(artifact.tree, _net())
  assert os.listdir(tmp_path) == ['net.jcz']


def test_a_failed_save_leaves_the_old_file_and_nothing_else(
  tmp_path, monkeypatch
):
  path = tmp_path / 'net.jcz'
  container.save(path, {'a': jnp.ones(2)})
  before = path.read_bytes()

  def fail(*_):
    raise OSError('disk full')

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError, match='disk full'):
    container.save(path, {'a': jnp.zeros(2)})
  assert path.read_bytes() == before
  assert os.listdir(tmp_path) == ['net.jcz']


def test_a_long_stream_is_within_a_percent_of_its_entropy():
  rng = np.random.default_rng(0)
  codes = np.clip(np.round(rng.laplace(0, 2, (400, 500))) + 16, 0, 31)
  leaf = encoded.Codebook(jnp.arange(32.0), jnp.asarray(codes, jnp.uint8))
  assert len(container.pack({'w': leaf})) < 1.01 * leaf.bits() / 8


def test_what_a_file_cannot_hold_is_named_by_its_path():
  @dataclasses.dataclass
  class Layer:
    kernel: Any

  for bad, text in (
    (np.ones(3, np.longdouble), 'fc/w has dtype float128'),
    (np.ones(3, complex), 'fc/w has dtype complex128'),
    (np.array(['a']), 'fc/w has dtype <U1'),
    ('a', 'fc/w is of type str'),
    (Layer(jnp.ones(2)), 'fc/w is of type Layer'),
    (encoded.Dense(np.array([None])), 'fc/w has dtype object'),
    (encoded.Dense(None), 'fc/w is Dense of NoneType'),
    ({(1,): np.ones(3)}, r'fc/w has the key \(1,\)'),
    (
      encoded.Codebook(jnp.ones((4, 2)), jnp.full((3, 3), 9, jnp.uint8)),
      'fc/w has codes in 9 .. 9',
    ),
    (
      encoded.Product(
        jnp.ones((1, 2, 4, 2)), jnp.full((1, 3, 2), 9, jnp.uint8), 1, (3, 4)
      ),
      'fc/w has codes in 9 .. 9',
    ),
  ):
    with pytest.raises(ValueError, match=text):
      container.pack({'fc': {'w': bad}})


def test_keys_are_shipped_as_they_are():
  keys = {
    'one': jax.random.key(3),
    'many': jax.random.split(jax.random.key(0)),
  }
  read = encoded.decode(archive.unpack(container.pack(keys)).tree)
  assert read['one'] == keys['one'] and (read['many'] == keys['many']).all()


@pytest.mark.parametrize('kind', ['>f2', '>f4', '>f8', '>i4', '>u2'])
def test_bytes_in_the_other_order_are_put_into_this_one(kind):
  x = np.arange(3).astype(kind)
  codes = np.array([0, 2, 1], np.uint8)
  tree = {'a': x, 'b': encoded.Dense(x)}
  if x.dtype.kind == 'f':
    tree |= {
      'c': encoded.Sparse(x, x > 0),
      'd': encoded.Codebook(x, codes),
    }
  read = archive.unpack(container.pack(tree)).tree
  native = x.dtype.newbyteorder('=')
  assert read['a'].values.dtype == read['b'].values.dtype == native
  for name in set(tree) - {'d'}:
    np.testing.assert_array_equal(read[name].decode(), [0, 1, 2])
  if 'd' in tree:
    np.testing.assert_array_equal(read['d'].decode(), [0, 2, 1])


@pytest.mark.parametrize('dtype', heads.DTYPES)
def test_every_dtype_comes_back_bit_for_bit(dtype):
  dtype = jnp.dtype(dtype)
  if jnp.issubdtype(dtype, jnp.floating):
    words = RNG.integers(0, 256, (50, dtype.itemsize), np.uint8)
    x = words.view(dtype)[:, 0]
    if dtype.name == 'float4_e2m1fn':
      x = RNG.normal(size=50).astype(dtype)
  else:
    x = RNG.integers(0, 2, 50).astype(dtype)
  tree = {'x': x, 'none': x[:0], 'one': x[0], 'zero': np.zeros(2, dtype)}
  read = archive.unpack(container.pack(tree)).tree
  for name, want in tree.items():
    got = np.asarray(read[name].decode())
    assert got.dtype == dtype and got.shape == np.shape(want)
    assert got.tobytes() == np.asarray(want).tobytes()


def test_a_tree_is_written_leaf_by_leaf(tmp_path):
  path, net = tmp_path / 'net.jcz', _net()
  with container.create(path, metadata={'step': 3}) as file:
    for name in ('fc2', 'fc1', 'fc3'):
      file.put(f'{name}/kernel', net[name]['kernel'])
      file.put((name, 'bias'), net[name]['bias'].values)
  read = archive.load(path)
  assert read.metadata == {'step': 3}
  _same(read.tree, net)
  with pytest.raises(ValueError, match="'fc1' is written"):
    with container.create(path) as file:
      file.put('fc1/kernel', jnp.ones(2))
      file.put('fc1', jnp.ones(2))
  with pytest.raises(ValueError, match="'fc1/a' is written, or a leaf above"):
    with container.create(path) as file:
      file.put('fc1', jnp.ones(2))
      file.put('fc1/a', jnp.ones(2))
  _same(archive.load(path).tree, net)
  assert os.listdir(tmp_path) == ['net.jcz']


def test_much_in_few_bytes_is_padded():
  zeros = encoded.Dense(np.zeros((40, 2**20), np.int8))
  data = container.pack({'a': zeros})
  assert len(data) == 39 * 2**20 // 2**12
  assert archive.unpack(data).tree['a'].values.shape == (40, 2**20)
