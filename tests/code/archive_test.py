"""Tests of reading a file leaf by leaf."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_same

import jcompress as jc
from jcompress import encoded
from jcompress.code import archive, container, layouts

FILES = pathlib.Path(__file__).parent / 'files'
RNG = np.random.default_rng(0)
WIDE = np.asarray([1.5, np.pi])  # float64


def tree():
  codes = jnp.asarray(RNG.integers(0, 9, (30, 20)), jnp.uint8)
  tied = encoded.Dense(jnp.asarray(RNG.normal(size=(5, 5)), jnp.float32))
  return {
    'fc1': {
      'kernel': encoded.Codebook(jnp.arange(9.0), codes),
      'bias': encoded.Dense(jnp.zeros(20)),
    },
    'fc2': {'kernel': encoded.Codebook(jnp.arange(9.0), codes.T)},
    'tied': [tied, tied],
    'key': jax.random.key(0),
    'wide': WIDE,
  }


@pytest.fixture(scope='module')
def path(tmp_path_factory):
  path = tmp_path_factory.mktemp('file') / 'net.jcz'
  jc.save(path, tree(), metadata={'step': 3})
  return path


def test_leaves_are_listed_without_being_decoded(path, monkeypatch):
  monkeypatch.delattr(layouts, 'decode')
  with jc.open(path) as file:
    found = {x.path: (x.kind, x.shape, x.dtype) for x in file.leaves}
    assert file.metadata == {'step': 3}
    assert sum(x.size for x in file.leaves) < path.stat().st_size
  float32 = np.dtype('float32')
  assert found == {
    'fc1/bias': ('Dense', (20,), float32),
    'fc1/kernel': ('Codebook', (30, 20), float32),
    'fc2/kernel': ('Codebook', (20, 30), float32),
    'key': ('Key', (), None),
    'tied/0': ('Dense', (5, 5), float32),
    'tied/1': ('Dense', (5, 5), float32),
    'wide': ('Dense', (2,), np.dtype('float64')),
  }


def test_one_leaf_is_decoded_alone(path, monkeypatch):
  read = []
  decode = layouts.decode
  monkeypatch.setattr(
    layouts, 'decode', lambda *a: read.append(a[1]) or decode(*a)
  )
  with jc.open(path) as file:
    assert_same(file['fc2/kernel'], jc.load(path).tree['fc2']['kernel'])
    del read[:]
    assert file['wide'].decode().dtype == np.float64
    assert read == ['Dense']
    for wrong in ('fc3', 'fc1', ''):
      with pytest.raises(ValueError, match='no leaf is .*fc1/bias'):
        file[wrong]


def test_leaf_after_leaf_is_the_whole_tree(path):
  whole = jc.load(path).tree
  paths = jc.tree.paths(whole, is_leaf=encoded.is_encoded)
  leaves = jax.tree.leaves(whole, is_leaf=encoded.is_encoded)
  with jc.open(path) as file:
    for (name, leaf), other, x in zip(file.items(), paths, leaves, strict=True):
      assert name == other
      if name != 'key':
        assert_same(leaf, x)


def test_a_damaged_leaf_is_named_and_the_others_are_read(path):
  data = bytearray(path.read_bytes())
  with jc.open(path) as file:
    at = len(data) - next(x.size for x in file.leaves if x.path == 'wide')
  data[at] ^= 1
  file = archive.File(bytes(data))
  with pytest.raises(ValueError, match='wide is damaged: the checksum'):
    file['wide']
  with pytest.raises(ValueError, match='wide is damaged'):
    file.tree()
  assert file['fc1/bias'].values.shape == (20,)


def test_leaves_of_one_path_are_not_mixed_up():
  ramp = jnp.arange(4.0)
  data = container.pack({'a': {'b': ramp}, 'a/b': ramp + 1, 'c': ramp})
  file = archive.File(data)
  with pytest.raises(ValueError, match="two leaves are called 'a/b'"):
    file['a/b']
  assert [x.path for x in file.leaves] == ['a/b', 'a/b', 'c']


def test_a_foreign_file_is_not_read(tmp_path):
  path = tmp_path / 'large'
  with open(path, 'wb') as f:
    f.truncate(1 << 40)
  for read in (jc.load, jc.open):
    with pytest.raises(ValueError, match='Not a jcompress file'):
      read(path)
  path.write_bytes(b'')
  with pytest.raises(ValueError, match='Not a jcompress file'):
    jc.open(path)


def test_max_bytes(path):
  total = 4 * (20 + 600 + 600 + 25) + 2 * 8
  key = 2 * 16
  jc.load(path, max_bytes=total + key)
  for read in (jc.load, jc.open):
    with pytest.raises(ValueError, match='more than max_bytes=99'):
      read(path, max_bytes=99)
  with pytest.raises(ValueError, match='more than max_bytes'):
    jc.unpack(path.read_bytes(), max_bytes=total + key - 1)


def test_files_of_earlier_layouts_are_read():
  read = jc.load(FILES / 'version_1.jcz')
  assert read.metadata == {'step': 3}
  kernel = np.asarray(read.tree['a'].decode())
  assert kernel.shape == (30, 20) and kernel.sum() == 530.0
  np.testing.assert_array_equal(read.tree['h'].decode(), np.ones((4, 4)))
  net = jc.load(FILES / 'version_2.jcz').tree
  assert net['fc3'].centers is net['fc0'].centers
  assert [int(x.codes.sum()) for x in net.values()] == [1007, 12119, 952, 11926]
  with jc.open(FILES / 'version_2.jcz') as file:
    assert_same(file['fc3'], net['fc3'])
    assert file.leaves[3].shape == (30, 20)


def test_large_files_are_read_on_threads():
  codes = jnp.asarray(RNG.integers(0, 9, (600, 600)), jnp.uint8)
  net = {str(i): encoded.Codebook(jnp.arange(9.0), codes + i) for i in range(4)}
  with pytest.raises(ValueError, match='codes must be in 0'):
    container.pack(net)
  net = {k: encoded.Codebook(jnp.arange(12.0), x.codes) for k, x in net.items()}
  read = archive.unpack(container.pack(net)).tree
  assert all(x.centers is read['0'].centers for x in read.values())
  for name, x in net.items():
    assert_same(read[name], x)
