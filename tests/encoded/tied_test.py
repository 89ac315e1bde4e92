import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_damage_is_harmless, assert_same, round_trip

from jcompress import encoded
from jcompress.code import layouts, wire
from jcompress.encoded import Codebook, Dense, Scaled, Stacked, Tied

CODES = np.random.default_rng(0).integers(0, 4, (3, 3, 2, 6)).astype(np.uint8)
BASE = Codebook(jnp.arange(4.0) - 1, jnp.asarray(CODES))
LEAF = Tied(BASE, 'p4', (3, 3, 2, 24))


def test_each_number_is_in_the_file_once():
  assert_same(round_trip(LEAF), LEAF)
  assert LEAF.bits() == BASE.bits()
  size = len(layouts.encode(LEAF, 'auto', 'w'))
  assert size < len(layouts.encode(BASE, 'auto', 'w')) + 40
  layers = Stacked((LEAF, LEAF), (0,), (2,))
  assert_same(round_trip(layers).parts[1], LEAF)


def test_small_codes_of_the_base_are_packed():
  tree = {'w': LEAF}
  packed = encoded.packed(tree)
  assert isinstance(packed['w'].part, encoded.Packed)
  np.testing.assert_array_equal(packed['w'].decode(), LEAF.decode())
  back = jax.tree.leaves(encoded.unpacked(packed['w']))
  np.testing.assert_array_equal(back[1], CODES)


def test_64_bits_stay():
  leaf = Tied(Dense(np.array([1 / 3])), 'negation', (2,))
  assert leaf.decode().dtype == np.float64
  assert leaf.decode()[1] == -1 / 3


def test_parts_that_hold_others_and_shapes_that_do_not_fit():
  nested = Tied(Scaled(Dense(jnp.ones((1, 2))), jnp.ones((1, 1))), 'p4', (1, 8))
  with pytest.raises(ValueError, match='w is Tied of Scaled'):
    layouts.encode(nested, 'auto', 'w')
  with pytest.raises(ValueError, match='w: this Tied does not decode'):
    layouts.encode(Tied(BASE, 'p4', (3, 3, 2, 20)), 'auto', 'w')
  record = layouts.encode(LEAF, 'auto', 'w')
  bad = record.replace(wire.prefixed(b'Codebook'), wire.prefixed(b'Tied'))
  with pytest.raises(ValueError, match='its part is Tied'):
    layouts.decode(bad, 'Tied')


def test_damage_of_a_record_is_harmless():
  assert_damage_is_harmless(LEAF, lambda leaf, shown: shown.size <= 1024 * 108)
