import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_damage_is_harmless, assert_same, round_trip

from jcompress import encoded
from jcompress.code import layouts, wire


def _blocks():
  codes = np.random.default_rng(0).integers(0, 5, (12, 20))
  scale = jnp.full((3, 20), -4, jnp.int8)
  centers = jnp.linspace(-1, 1, 5).astype(jnp.bfloat16)
  return encoded.Blocks(jnp.asarray(codes, jnp.uint8), scale, centers, (0, 4))


def test_scaled():
  part = _blocks()
  leaf = encoded.Scaled(part, jnp.ones((12, 1), jnp.bfloat16) * 3)
  back = round_trip(leaf)
  assert_same(back, leaf)
  assert type(back.part) is encoded.Blocks and back.factor.dtype == jnp.bfloat16
  layers = encoded.Stacked((leaf, leaf), (0,), (2,))
  assert_same(round_trip(layers).parts[1], leaf)
  size = len(layouts.encode(leaf, 'auto', 'w'))
  assert size < len(layouts.encode(part, 'auto', 'w')) + 40


def test_a_part_that_holds_others_or_does_not_fit_is_refused():
  leaf = encoded.Scaled(_blocks(), jnp.ones((12, 1)))
  nested = encoded.Scaled(leaf, jnp.ones((12, 1)))
  with pytest.raises(ValueError, match='w is Scaled of Scaled'):
    layouts.encode(nested, 'auto', 'w')
  with pytest.raises(ValueError, match=r'Factors \[2, 1\] do not fit'):
    layouts.encode(encoded.Scaled(_blocks(), jnp.ones((2, 1))), 'auto', 'w')
  record = layouts.encode(leaf, 'auto', 'w')
  for kind in (b'Scaled', b'Stacked', b'Blocks\xff', b'Nothing'):
    bad = record.replace(wire.prefixed(b'Blocks'), wire.prefixed(kind))
    with pytest.raises(ValueError, match='its part is|Unknown kind'):
      layouts.decode(bad, 'Scaled')


def test_damage_of_a_record_of_scaled_is_harmless():
  leaf = encoded.Scaled(_blocks(), jnp.ones((12, 1)))
  fits = lambda leaf, shown: shown.ndim == leaf.factor.ndim
  assert_damage_is_harmless(leaf, fits)
