"""Codes in the order of their weights."""

from typing import Any

import numpy as np
from jaxtyping import Int64, Num

from jcompress import encoded


def order(
  centers: Num[np.ndarray, ' k'],
) -> tuple[Int64[np.ndarray, ' k'], int]:
  """The rank of each center, equal ones by their codes; the one nearest 0."""
  with np.errstate(invalid='ignore'):  # NaN of a damaged file
    values = centers.astype(np.float64)
  ranks = np.empty(len(values), np.int64)
  ranks[np.argsort(values, kind='stable')] = np.arange(len(values))
  zero = int(np.abs(values).argmin()) if values.size else 0
  return ranks, zero


def zero_of(leaf: encoded.Encoded) -> int:
  """The code of a grid whose weight is nearest 0, or about."""
  grid: Any = leaf
  if isinstance(leaf, encoded.Quantized):
    return 0 if grid.zero is None else round(float(np.median(grid.zero)))
  return order(np.asarray(grid.centers))[1]
