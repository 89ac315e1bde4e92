"""How many bits a distorted weight still carries."""

import math

import numpy as np
from jaxtyping import Array, Shaped


def effective_bits(
  weights: Shaped[Array | np.ndarray, '...'],
  distorted: Shaped[Array | np.ndarray, '...'],
) -> float:
  """Bits of a weight that its distortion leaves, by their powers.

  `log2(1 + S / N) / 2` with the power `S` of the weights and `N` of what was
  added: the capacity of a channel with Gaussian noise. Weights of `+-1` keep
  0.68 bits under noise of standard deviation 0.8. This bounds what weights of
  that power carry; what signs carry is `sign_capacity`.

  >>> effective_bits(np.ones(4), np.array([2.0, 0.0, 2.0, 0.0]))
  0.5

  Args:
    weights: as they are.
    distorted: the same after a distortion, such as those of `distort`.

  Raises:
    ValueError: arrays of different or no size.

  References:
    Merolla et al., Deep neural networks are robust to weight binarization and
    other non-linear distortions, 2016, arXiv 1606.01981.
    Shannon, A Mathematical Theory of Communication, 1948.
  """
  w, d = (np.asarray(a, np.float64) for a in (weights, distorted))
  if w.shape != d.shape or not w.size:
    raise ValueError(
      f'weights are {list(w.shape)}, distorted ones {list(d.shape)}: give '
      'arrays of one shape that are not empty.'
    )
  signal, noise = float(np.mean(w**2)), float(np.mean((d - w) ** 2))
  if not signal:
    return 0.0
  return math.log2(1 + signal / noise) / 2 if noise else math.inf


def sign_capacity(deviation: float) -> float:
  """Bits that a weight of `+-1` carries under Gaussian noise.

  `1 - E log2(1 + exp(-2 (1 + s z) / s^2))` with `z` from N(0, 1): one bit
  without noise, and never more than `log2(1 + 1 / s^2) / 2`.

  >>> [round(sign_capacity(s), 4) for s in (0.1, 0.8, 1.0)]
  [1.0, 0.6372, 0.4859]

  Args:
    deviation: `s`, the standard deviation of the noise, not negative.

  Raises:
    ValueError: it is negative.

  References:
    Shannon, A Mathematical Theory of Communication, 1948.
  """
  if not deviation >= 0:
    raise ValueError(f'deviation is {deviation}; it must not be negative.')
  if not deviation:
    return 1.0
  z = np.linspace(-10, 10, 4001)
  density = np.exp(-(z**2) / 2)
  exponent = -2 * (1 + deviation * z) / deviation / deviation
  lost = np.logaddexp(0, exponent) / math.log(2)
  return float(1 - np.sum(density * lost) / np.sum(density))
