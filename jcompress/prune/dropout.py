"""Dropout for networks that pruning has made smaller."""

import math


def dropout_rate(rate: float, kept: float) -> float:
  """The rate of dropout with which a pruned layer is trained again.

  `D_r = D_o sqrt(C_ir / C_io)`: pruning has lowered the capacity already, so
  that less dropout is needed. The number of connections grows with the square
  of that of the units, which dropout acts on.

  Args:
    rate: `D_o`, before pruning, `0 <= rate < 1`.
    kept: `C_ir / C_io`, the fraction of the connections of the layer that is
      left, `0 .. 1`.

  Raises:
    ValueError: one of them is out of range.

  >>> round(dropout_rate(0.5, 0.08), 4)
  0.1414

  References:
    Han et al., Learning both Weights and Connections for Efficient Neural
    Networks, 2015, arXiv 1506.02626, section 3.2.
  """
  if not 0 <= rate < 1:
    raise ValueError(f'rate is {rate}; it must be at least 0 and below 1.')
  if not 0 <= kept <= 1:
    raise ValueError(f'kept is {kept}; it must be a fraction in 0 .. 1.')
  return rate * math.sqrt(kept)  # eq. 2
