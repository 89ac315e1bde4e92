"""Shapes of decoded arrays, found without decoding them."""

import itertools
import math

import jax

from jcompress import encoded
from jcompress.code.streams import SYMBOLS_A_BYTE

_MAX_ROWS = 8 * SYMBOLS_A_BYTE


def decoded_form(
  leaf: encoded.Encoded, what: str
) -> jax.ShapeDtypeStruct | None:
  """Shape and dtype of the decoded array, found without computing it.

  `None` where they depend on its values.

  Raises:
    ValueError: the fields do not fit together, or are too large.
  """
  if type(leaf) is encoded.Dense:
    if not hasattr(leaf.values, 'dtype'):
      raise ValueError(
        f'{what} is Dense of {type(leaf.values).__name__}: it must be an array.'
      )
    return jax.ShapeDtypeStruct(leaf.values.shape, leaf.values.dtype)
  try:
    form = jax.eval_shape(leaf.decode)
    check_rows(form, what)
    return form
  except jax.errors.JAXTypeError:
    return None
  except Exception as e:  # damaged fields may fail in any way
    raise ValueError(
      f'{what}: this {type(leaf).__name__} does not decode: {e}'
    ) from e


def decoded_size(leaf: encoded.Encoded, what: str) -> int:
  """Entries of the decoded array, 0 where only its values tell.

  Raises:
    ValueError: the fields do not fit together, or are too large.
  """
  return getattr(decoded_form(leaf, what), 'size', 0)


def check_rows(x, what):
  """Refuses empty arrays of many rows: XLA takes time and memory for each."""
  shape = getattr(x, 'shape', ())
  if 0 in shape:
    rows = math.prod(itertools.takewhile(bool, shape))
    if rows > _MAX_ROWS:
      raise ValueError(
        f'{what} has the empty shape {shape}: the axes before the first 0 must '
        f'multiply to at most {_MAX_ROWS}.'
      )
