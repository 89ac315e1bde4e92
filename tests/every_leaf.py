"""One small leaf of every kind and form that a file holds."""

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import encoded


def leaves():
  """Encoded leaves by name; the name begins with the kind."""
  rng = np.random.default_rng(0)
  normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
  kept = rng.random((18, 21)) < np.linspace(0, 0.5, 18)[:, None]
  codes = np.minimum(rng.exponential(2, (18, 21)), 8) * kept
  codes = codes.astype(np.uint8)
  signed = codes.astype(np.int8) * rng.choice([-1, 1], codes.shape)
  grid = jnp.asarray([0, -2, -1, 0.5, 1.5, 3, 4, -4, -3], jnp.float32)
  small = encoded.Dense(normal(5, 4))
  blocks = encoded.Blocks(
    jnp.asarray(codes[:16, :12]),
    jnp.asarray(rng.integers(-9, 3, (8, 12)), jnp.int8),
    grid,
    tile=(0, 2),
  )
  product = encoded.Product(
    *(normal(1, 3, 5, 3), jnp.asarray(rng.integers(0, 5, (1, 7, 3)), 'uint8')),
    *(1, (7, 9)),
  )
  signs = encoded.Signs(normal(9, 7) > 0, jnp.float32(0.5))
  steps = jnp.asarray(signed, jnp.int8)
  return {
    'Blocks': blocks,
    'Blocks_float': encoded.Blocks(
      jnp.asarray(codes), normal(1, 21), grid.astype(jnp.bfloat16)
    ),
    'Codebook': encoded.Codebook(grid, jnp.asarray(codes)),
    'Codebook_dense': encoded.Codebook(
      jnp.sort(grid), jnp.asarray(rng.integers(0, 9, (20, 30)), jnp.uint8)
    ),
    'Codebook_vector': encoded.Codebook(
      normal(4, 2), jnp.asarray(rng.integers(0, 4, (5, 6)), jnp.uint8)
    ),
    'Codebook_wide': encoded.Codebook(
      normal(300), jnp.asarray(rng.integers(0, 300, (9, 60)), jnp.uint16)
    ),
    'Dense': encoded.Dense(normal(17, 5)),
    'Dense_bfloat16': encoded.Dense(normal(300).astype(jnp.bfloat16)),
    'Dense_bool': encoded.Dense(jnp.asarray(kept)),
    'Dense_float64': encoded.Dense(np.asarray(rng.normal(size=(4, 9)))),
    'Dense_int32': encoded.Dense(
      jnp.asarray(rng.integers(-4, 9, 300), jnp.int32)
    ),
    'Dense_int64': encoded.Dense(np.array([-(2**62), 0, 2**40 + 1])),
    'Dense_letters': encoded.Dense(
      jnp.asarray(rng.choice([1.5, -2.25, 0], 400), jnp.float32)
    ),
    'Dense_uint4': encoded.Dense(jnp.arange(16).astype('uint4')),
    'Factors': encoded.Factors(
      (normal(6, 2), normal(2, 4)), 'ar,rb->ab', (24,)
    ),
    'Hashed': encoded.Hashed(normal(7), jnp.uint32(3), (6, 4)),
    'HashedFrequencies': encoded.HashedFrequencies(
      normal(15), jnp.uint32(3), (3, 3, 4, 5), (1, 2, 3, 4, 5)
    ),
    'Key': encoded.Key(jax.random.key_data(jax.random.key(3)), 'threefry2x32'),
    'LowRank': encoded.LowRank(normal(6, 2), normal(2, 12), (2, 3, 12)),
    'Product': product,
    'Quantized': encoded.Quantized(steps, normal(1, 21)),
    'Quantized_tiles': encoded.Quantized(
      jnp.asarray(codes),
      normal(18, 6).astype(jnp.float16),
      jnp.asarray(rng.integers(0, 9, (18, 6)), jnp.uint8),
      tile=(1, 4),
    ),
    'Quantized_float_zero': encoded.Quantized(
      steps, normal(18, 1), normal(18, 1), dtype=jnp.dtype(jnp.float16)
    ),
    'Rotated': encoded.Rotated(
      *(jnp.asarray(codes[:16, :3]), normal(1, 3), grid, normal(16) > 0, 0, 16)
    ),
    'Scaled': encoded.Scaled(small, normal(5, 1)),
    'Scaled_codes': encoded.Scaled(
      encoded.Quantized(steps, normal(1, 1)), normal(18, 1)
    ),
    'Signs': signs,
    'Signs_channels': encoded.Signs(jnp.asarray(kept), normal(21)),
    'Sparse': encoded.Sparse(normal(18, 21) * kept, jnp.asarray(kept)),
    'Sparse_half': encoded.Sparse(
      (normal(18, 21) * kept).astype(jnp.float16), jnp.asarray(kept)
    ),
    'Stacked': encoded.Stacked(
      (signs, encoded.Dense(normal(9, 7)), signs, signs), (0, 2), (2, 2)
    ),
    'Stacked_tied': encoded.Stacked(
      (encoded.Tied(encoded.Dense(normal(4, 3)), 'negation', (4, 6)),) * 2,
      *((1,), (2,)),
    ),
    'Tied_negation': encoded.Tied(small, 'negation', (5, 7)),
    'Tied_repeat': encoded.Tied(small, 'repeat', (5, 12)),
    'Tied_translation': encoded.Tied(
      encoded.Dense(normal(5, 4, 2, 3)), 'translation', (3, 3, 2, 18)
    ),
    'Tied_p4': encoded.Tied(
      encoded.Dense(normal(3, 3, 2, 3)), 'p4', (3, 3, 2, 12)
    ),
    'Tied_p4m_inputs': encoded.Tied(
      *(encoded.Dense(normal(3, 3, 8, 2)), 'p4m', (3, 3, 8, 16), True)
    ),
  }
