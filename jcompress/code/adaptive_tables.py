"""The tables that the model of neighbours is made of, by integers alone.

Every machine gets the same ones: roots are `math.isqrt`, nothing is a float.
"""

import functools
import math

import numpy as np
from jaxtyping import Int64

from jcompress.code.adaptive_loops import CLASSES

_LEAST, _MOST = 400, 65100


@functools.cache
def logarithms() -> Int64[np.ndarray, ' 65536']:
  """`64 log2 n`, rounded, for `n` below 65,536; 0 for 0.

  It is `k` where `n^128` reaches `2^(2k - 1)` but not `2^(2k + 1)`.
  """
  first = []
  for k in range(1, 64 * 16 + 1):
    root = (1 << 2 * k - 1) - 1
    for _ in range(7):
      root = math.isqrt(root)
    first.append(root + 1)
  return np.searchsorted(first, np.arange(65536), 'right').astype(np.int64)


@functools.cache
def priors(unit: int, cap: int, shift: int) -> Int64[np.ndarray, ' 64']:
  """How often each class is not 0, in 1 / 65,536.

  The odds of class `c` are `o = unit / 16 * 2^((c - 32) 2^(shift - 11))`, or
  `unit / (16 - unit) * ...` where `cap` is 1, and the entry `65536 o / (1 + o)`
  rounded, within 400 .. 65,100. Powers of two between whole ones are rounded
  down to 30 bits behind the point.

  Args:
    unit: 16 times the mean size, from 1.
    cap: of sizes; 1 asks for `unit` of at most 16.
    shift: 9 to 11.
  """
  steps = 11 - shift
  out = []
  for c in range(-CLASSES // 2, CLASSES // 2):
    whole, part = c >> steps, c & (1 << steps) - 1
    root = 1 << (30 << steps) + part
    for _ in range(steps):
      root = math.isqrt(root)
    odds = unit * root << max(whole, 0)
    against = (16 - unit if cap == 1 else 16) << 30 + max(-whole, 0)
    total = odds + against
    prior = ((1 << 17) * odds + total) // (2 * total)
    out.append(min(max(prior, _LEAST), _MOST))
  return np.array(out, np.int64)
