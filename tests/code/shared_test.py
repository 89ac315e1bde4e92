"""Tests of codebooks that several leaves share."""

import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_same

from jcompress import encoded
from jcompress.code import archive, container, layouts, shared

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=40).astype(np.float32)


def leaf(seed, values=VALUES, shape=(30, 20), kept=1.0):
  rng = np.random.default_rng(seed)
  codes = rng.integers(1, 40, shape) * (rng.random(shape) < kept)
  return encoded.Codebook(jnp.asarray(values), jnp.asarray(codes, jnp.uint8))


def net(layers=4):
  return {f'fc{i}': leaf(i, kept=1.0 if i % 2 else 0.1) for i in range(layers)}


@pytest.mark.parametrize('coder', ['auto', 'raw', 'huffman', 'zstd', 'ans'])
def test_a_codebook_is_in_the_file_once(coder):
  tree = net()
  data = container.pack(tree, coder=coder)
  # The other coders may change the bytes of the centers.
  if coder == 'raw':
    assert data.count(VALUES.tobytes()) == 1
  sizes = archive.sizes(data).leaves
  for name, x in tree.items():
    alone = archive.sizes(container.pack({name: x}, coder=coder)).leaves[name]
    centers = len(shared.centers_of(layouts.encode(x, coder, ''), 'Codebook'))
    assert centers > 100
    assert sizes[name] == alone - (0 if name == 'fc0' else centers - 2)


def test_leaves_come_back_with_one_array_of_centers():
  tree = net() | {'other': leaf(9, VALUES + 1), 'again': leaf(3)}
  read = archive.unpack(container.pack(tree)).tree
  for name, x in tree.items():
    assert_same(read[name], x)
  assert all(read[f'fc{i}'].centers is read['fc0'].centers for i in range(4))
  assert read['again'] is not read['fc3']
  assert read['again'].centers is read['fc0'].centers
  assert read['other'].centers is not read['fc0'].centers
  assert container.pack(read) == container.pack(tree)


def test_only_scalar_codebooks_have_centers():
  x = leaf(0)
  record = layouts.encode(x, 'auto', 'w')
  centers = shared.centers_of(record, 'Codebook')
  assert record[1:].startswith(centers) and len(centers) > 100
  assert shared.centers_of(record, 'Dense') == b''
  assert shared.centers_of(b'', 'Codebook') == b''
  vectors = encoded.Codebook(x.centers.reshape(-1, 2), x.codes // 2)
  record = layouts.encode(vectors, 'auto', 'w')
  assert shared.centers_of(record, 'Codebook') == b''
  both = {'a': vectors, 'b': leaf(1), 'c': leaf(2)}
  read = archive.unpack(container.pack(both)).tree
  for name, x in both.items():
    assert_same(read[name], x)


def test_records_that_name_no_centers_are_refused():
  first = layouts.encode(leaf(0), 'auto', 'w')
  second = layouts.encode(leaf(1), 'auto', 'w')
  centers = shared.centers_of(second, 'Codebook')
  dense = layouts.encode(encoded.Dense(jnp.arange(3.0)), 'auto', 'w')
  kinds = ['Codebook', 'Dense', 'Codebook']
  for number in (0, 1, 2, 3, 1 << 40):
    tied = shared.without_centers(second, centers, number)
    records = [first, dense, tied]
    earlier = lambda k, r=records: (r[k], kinds[k])
    if number == 0:
      whole = shared.with_centers(tied, 'Codebook', earlier)
      assert whole == (second, 0)
    else:
      with pytest.raises(ValueError, match=f'in record {number}'):
        shared.with_centers(tied, 'Codebook', earlier)


def test_codes_are_held_against_the_shared_centers():
  short = layouts.encode(
    encoded.Codebook(jnp.asarray(VALUES[:9]), leaf(0).codes % 9), 'auto', 'w'
  )
  record = layouts.encode(leaf(1), 'auto', 'w')
  centers = shared.centers_of(record, 'Codebook')
  tied = shared.without_centers(record, centers, 0)
  whole, _ = shared.with_centers(
    tied, 'Codebook', lambda _: (short, 'Codebook')
  )
  with pytest.raises(ValueError, match='code 39 of 9 centers'):
    layouts.decode(whole, 'Codebook')
