"""Rounding to a step, for the least file of an entropy coder."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.code.arrays import to_device
from jcompress.encoded import Codebook
from jcompress.finite import require_finite

# Where the last bit of a uniform quantizer and of its coder cost the same:
# -dD/dR = 2 ln 2 D with D = step^2 / 12.
BALANCED = np.log(2) / 6
_ROUNDS = 3  # of bins to lengths to bins
_MOST = 65535


def step_codebook(
  w: Float[Array | np.ndarray, '*shape'],
  step: float,
  *,
  strength: float = BALANCED,
) -> Codebook:
  """Rounds weights to multiples of a step, the cheap ones a little more often.

  Bins move until `(w - c)^2 + strength * step^2 * bits(c)` is least, with the
  lengths of an ideal coder; the value of a bin is the mean of its weights, and
  that of the bin of zero is zero. With an entropy coder this is within a
  quarter of a bit of the best that there is at the rate, and sparse where steps
  are coarse. Exact zeros stay zero.

  Args:
    w: weights of any shape.
    step: distance of values, `> 0`.
    strength: how much a bit is worth, in squared steps; 0 rounds to nearest.

  Raises:
    ValueError: NaN or inf; a step that gives more than 65,535 values; an
      argument out of range.

  >>> step_codebook(np.array([0.0, 0.4, 0.9, 1.1], np.float32), 1.0).decode()
  Array([0., 0., 1., 1.], dtype=float32)

  References:
    Chou, Lookabaugh & Gray, Entropy-constrained vector quantization, 1989.
  """
  require_finite(w, 'step_codebook')
  if not 0 < step < np.inf or not 0 <= strength < np.inf:
    raise ValueError(
      f'step is {step}, strength {strength}; a step must be positive, a '
      'strength 0 or more, both finite.'
    )
  x = tree.to_host(w).astype(np.float32).ravel()
  least, most = (float(f(initial=0.0)) / step for f in (x.min, x.max))
  low, high = round(least), round(most)
  if high - low >= _MOST:
    raise ValueError(
      f'step={step} gives {high - low + 1:,} values; at most {_MOST:,} are '
      'allowed. Make it larger.'
    )
  codes = np.rint(x / np.float32(step)).astype(np.int32) - low
  size, zero = high - low + 1, -low
  for _ in range(_ROUNDS if strength and x.size else 0):
    used, centers, counts = _bins(x, codes, size, zero)
    bits = -np.log2(counts / x.size)
    middle = (centers[1:] + centers[:-1]) / 2
    shift = strength * step**2 * np.diff(bits) / (2 * np.diff(centers))
    edges = np.maximum.accumulate(middle + shift).astype(np.float32)
    codes = used[np.searchsorted(edges, x)]
    codes[x == 0] = zero
  used, centers, _ = _bins(x, codes, size, zero)
  dtype = np.uint8 if len(used) <= 256 else np.uint16
  codes = np.searchsorted(used, codes).astype(dtype).reshape(w.shape)
  make: Any = Codebook
  return make(to_device(centers.astype(w.dtype)), jnp.asarray(codes))


def _bins(x, codes, size, zero):
  """The codes that occur, their means, how often; one for an empty array."""
  counts = np.bincount(codes, minlength=size)
  used = np.flatnonzero(counts) if x.size else np.array([zero])
  sums = np.bincount(codes, x, size)
  centers = sums[used] / np.maximum(counts[used], 1)
  return used, np.where(used == zero, 0, centers), counts[used]
