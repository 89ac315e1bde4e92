"""Cheaper codes for a finished network, for a strength or for a size."""

from collections.abc import Callable
from typing import Any

import jax

from jcompress import encoded
from jcompress.code import container

_FIRST, _TIMES, _MOST, _CLOSE = 1e-12, 10.0, 1e12, 1.02


def rate_distortion(
  encoded_tree: Any,
  strength: float | None = None,
  *,
  size: int | None = None,
  params: Any = None,
  importance: Any = None,
  keep_zeros: bool = True,
) -> Any:
  """Moves weights to cheaper codes, where that costs little.

  Each weight takes, of its code, the two beside it and that of zero, the one
  with the least `importance * (w - value)^2 + strength * bits`, the bits being
  those of the model of neighbours that the file is coded with. Works on the
  codes of `Codebook`, `Quantized`, `Blocks` and `Rotated` leaves, also inside
  of `Stacked` and `Scaled`; others are given back as they are.

      small = jc.rate_distortion(encoded, size=9_000, importance=fisher)

  With the importance all one it minimizes the squared error of the weights; the
  square root of the mean squared gradients (`curvature.fisher_diag`) is a
  safe choice, while the mean squares themselves set many weights to zero at
  once that are free only one by one.

  The codes of a `Rotated` leaf stand for rotated weights. Rotation keeps the
  squared error as it is; with importances that differ it has no exact
  counterpart there, and each code counts with the mean of those of the weights
  that its piece mixes: so much is expected of errors that are independent.

  Args:
    encoded_tree: what is to become smaller.
    strength: what a bit is worth, in units of the importance times a squared
      weight, `>= 0`.
    size: instead of `strength`: the most bytes of the file that `pack` writes;
      about the least strength is found that reaches it.
    params: the weights that codes stand for, such as those before rounding.
      Default: what the leaves decode to.
    importance: like params, `>= 0`; arrays or numbers. Default: 1.
    keep_zeros: whether weights that are zero stay so; of a `Rotated` leaf those
      of pieces that are zero altogether.

  Raises:
    ValueError: neither or both of strength and size, or a size that no strength
      reaches; trees that do not fit together.

  References:
    Wiedemann et al., DeepCABAC, 2020, arXiv 1907.11900: weighted
      rate-distortion quantization against the coder's own contexts.
    Choi et al., Towards the Limit of Network Quantization, 2017, arXiv
      1612.01543, section 4: the objective.
  """
  if (strength is None) == (size is None):
    raise ValueError('rate_distortion wants either a strength or a size.')
  from jcompress.code.cheaper_codes import cheaper

  if strength is not None and not strength >= 0:
    raise ValueError(f'strength is {strength}; it must be at least 0.')
  leaves, outer = jax.tree.flatten(encoded_tree, is_leaf=encoded.is_encoded)
  targets = _like(params, leaves, outer, 'params')
  weights = _like(importance, leaves, outer, 'importance')

  def moved(strength):
    return outer.unflatten(
      cheaper(*x, strength, keep_zeros)
      for x in zip(leaves, targets, weights, strict=True)
    )

  if size is None:
    return moved(strength)
  return _within(encoded_tree, size, moved)


def _within(start: Any, size: int, moved: Callable[[float], Any]) -> Any:
  """What the least strength gives that reaches a size, about."""
  length = lambda x: len(container.pack(x))
  if length(start) <= size:
    return start
  high, found = _FIRST, moved(_FIRST)
  while length(found) > size and high < _MOST:
    high *= _TIMES
    found = moved(high)
  if length(found) > size:
    raise ValueError(
      f'size is {size} bytes; with all weights that may move at zero the file '
      f'has {length(found)}. Give a larger size, or compress other leaves too.'
    )
  low = high / _TIMES
  while high > _CLOSE * low:
    middle = (low * high) ** 0.5
    other = moved(middle)
    if length(other) <= size:
      high, found = middle, other
    else:
      low = middle
  return found


def _like(values, leaves, outer, what):
  """A value for each leaf, `None` where none was given."""
  if values is None:
    return [None] * len(leaves)
  try:
    return outer.flatten_up_to(values)
  except ValueError as e:
    raise ValueError(f'{what} does not fit the encoded tree: {e}') from e
