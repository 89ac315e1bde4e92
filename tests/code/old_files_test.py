"""Files of earlier versions: they are read for ever, and to the same leaves.

`files/coder_CODER.jcz` was written by `container.pack(tree(), coder=CODER)` of
the first version, one file a coder, and `files/version_3.jcz` by that of
`later_tree()` of the third; nothing writes them again.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import encoded

FOLDER = pathlib.Path(__file__).with_name('files')
FILES = sorted(FOLDER.glob('coder_*.jcz'))


def _noise(*shape, high=1000):
  """Integers below `high` by a generator of one line."""
  out, s = [], 1
  for _ in range(int(np.prod(shape))):
    s = (1103515245 * s + 12345) % 2**31
    out.append(s >> 16)
  return np.array(out, np.int64).reshape(shape) % high


def _pruned(*shape, high):
  """Codes in `0 .. high - 1`, three of four 0, rows of them empty."""
  codes = np.where(_noise(*shape, high=8) < 2, _noise(*shape, high=high), 0)
  codes[::5] = 0
  return jnp.asarray(codes, jnp.uint8)


def tree():
  """A leaf of every kind that a file holds."""
  floats = lambda *shape: jnp.asarray(_noise(*shape) / 64 - 8, jnp.float32)
  centers = jnp.asarray([0, -2, -1, 0.5, 1.5, 3], jnp.float32)
  dense = encoded.Dense(floats(9, 8))
  signs = encoded.Signs(floats(7, 5) > 0, jnp.float32(0.5))
  kept = _pruned(25, 20, high=3) > 0
  steps = jnp.asarray(_noise(12, 6, high=15) - 7, jnp.int8)
  return {
    'blocks': encoded.Blocks(
      _pruned(8, 12, high=5),
      jnp.asarray(-_noise(4, 12, high=9), jnp.int8),
      jnp.arange(5.0),
      tile=(0, 2),
    ),
    'codebook': encoded.Codebook(centers, _pruned(40, 30, high=6)),
    'codebook_dense': encoded.Codebook(
      centers, jnp.asarray(_noise(20, 20, high=6), jnp.uint8)
    ),
    'factors': encoded.Factors(
      (floats(6, 2), floats(2, 4)), 'ar,rb->ab', (6, 4)
    ),
    'hashed': encoded.Hashed(floats(7), jnp.uint32(3), (6, 4)),
    'hashed_frequencies': encoded.HashedFrequencies(
      floats(15), jnp.uint32(3), (3, 3, 4, 5), (1, 2, 3, 4, 5)
    ),
    'int': encoded.Dense(jnp.asarray(_noise(300, high=5), jnp.int32)),
    'key': encoded.Key(jax.random.key_data(jax.random.key(3)), 'threefry2x32'),
    'low_rank': encoded.LowRank(floats(6, 2), floats(2, 12), (2, 3, 12)),
    'list': [dense, (signs, None, {})],
    'product': encoded.Product(
      floats(1, 3, 5, 3),
      jnp.asarray(_noise(1, 7, 3, high=5), jnp.uint8),
      1,
      (7, 9),
    ),
    'quantized': encoded.Quantized(steps, floats(1, 6)),
    'quantized_pruned': encoded.Quantized(
      _pruned(30, 20, high=9), floats(20), jnp.full(20, 3, jnp.uint8)
    ),
    'rotated': encoded.Rotated(
      _pruned(16, 3, high=6), floats(1, 3), centers, floats(16) > 0, 0, 16
    ),
    'scaled': encoded.Scaled(dense, floats(9, 1)),
    'sparse': encoded.Sparse(jnp.where(kept, floats(25, 20), 0), kept),
    'stacked': encoded.Stacked(
      (signs, encoded.Dense(floats(7, 5))), (1,), (2,)
    ),
    'tied': dense,
  }


def later_tree():
  """And one of each kind and form that came later."""
  leaves = tree()
  return leaves | {
    'half': encoded.Quantized(
      leaves['quantized'].codes,
      jnp.float16(0.5),
      dtype=jnp.dtype(jnp.float16),
    ),
    'repeated': encoded.Tied(leaves['list'][0], 'repeat', (9, 24)),
  }


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem)
def test_an_old_file_is_read_to_the_same_leaves(path):
  artifact = jc.load(path)
  assert artifact.metadata == {'coder': path.stem.removeprefix('coder_')}
  _assert_same(artifact.tree, tree())


def test_a_file_of_version_3_is_read_to_the_same_leaves():
  path = FOLDER / 'version_3.jcz'
  artifact = jc.load(path)
  assert artifact.metadata == {'version': 3}
  _assert_same(artifact.tree, later_tree())
  centers = artifact.tree['codebook'].centers
  assert artifact.tree['codebook_dense'].centers is centers
  with jc.open(path) as file:
    listed = {leaf.path: leaf for leaf in file.leaves}
    half = listed['half']
    assert half.shape == (12, 6) and half.dtype == jnp.float16
    assert listed['tied'].size == 0 < listed['list/0'].size
    assert sum(file.sizes.each) + file.sizes.overhead == 2680
  data = bytearray(path.read_bytes())
  data[-1] ^= 1
  with pytest.raises(ValueError, match='stacked is damaged: the checksum'):
    jc.unpack(bytes(data))


def _assert_same(read, written):
  assert read['tied'] is read['list'][0]
  found, form = jax.tree.flatten(read)
  wanted, wanted_form = jax.tree.flatten(written)
  assert form == wanted_form
  for a, b in zip(found, wanted, strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


def test_each_coder_of_the_first_version_has_a_file():
  stems = [path.stem.removeprefix('coder_') for path in FILES]
  assert stems == ['ans', 'auto', 'huffman', 'raw', 'zstd']
