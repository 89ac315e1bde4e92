"""What fits under the window of a convolution."""

from collections.abc import Sequence

import jax

Padding = str | Sequence[tuple[int, int]]


def conv_padding(
  x_shape: Sequence[int],
  form: Sequence[int],
  strides: Sequence[int],
  padding: Padding,
  groups: int,
) -> tuple[tuple[int, int], ...]:
  """Pairs of rows and columns of padding of a convolution.

  Args:
    x_shape: of the input, `[n, height, width, channels]`.
    form: of the kernel, `[height, width, in, out]`.
    strides: of the window.
    padding: 'VALID', 'SAME', 'SAME_LOWER', or the pairs.
    groups: of channels.

  Raises:
    ValueError: something is out of range or does not fit.
  """
  rows, columns, channels, outputs = form
  if groups < 1 or outputs % groups or min(strides) < 1:
    raise ValueError(
      f'{groups=} must divide the {outputs} outputs, and {strides=} be '
      'positive.'
    )
  if len(x_shape) != 4 or x_shape[3] != groups * channels:
    raise ValueError(
      f'x {x_shape} does not fit: wanted [n, height, width, '
      f'{groups * channels}], {channels} channels for each group.'
    )
  if isinstance(padding, str):
    if padding not in ('VALID', 'SAME', 'SAME_LOWER'):
      raise ValueError(
        f"padding is {padding!r}; it must be 'VALID', 'SAME', 'SAME_LOWER', or "
        'pairs of numbers.'
      )
    padding = jax.lax.padtype_to_pads(
      x_shape[1:3], (rows, columns), strides, padding
    )
  pads = tuple((int(before), int(after)) for before, after in padding)
  if len(pads) != 2 or min(map(min, pads)) < 0:
    raise ValueError(
      f'padding is {padding}; it must be two pairs of numbers, none negative.'
    )
  return pads
