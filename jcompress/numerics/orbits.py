"""Filters that are transforms of others: linear maps from base kernels.

Kernels are `[height, width, in, out]`, or for maps along the last axis alone
any array. The copies of a base filter lie along `out`, the copy first and then
the filter: `copy * filters + filter`; the copies of an input likewise.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jcompress.numerics.wide import wide

GROUPS = {'p4': 4, 'p4m': 8}
KINDS = 'negation', 'repeat', 'translation', *GROUPS
MOST = 1024  # copies of a base filter

Shape = tuple[int, ...]


def copies_of(kind: str, base: Shape, shape: Shape) -> int:
  """How many copies of each base filter a kernel has.

  Args:
    kind: one of `KINDS`.
    base: shape of the base kernel.
    shape: of the kernel.

  Raises:
    ValueError: the base does not expand to a kernel of this shape.
  """
  if kind in GROUPS:
    return GROUPS[kind]
  if kind == 'negation':
    return 2
  if kind == 'translation' and len(base) == len(shape) == 4:
    return (base[0] - shape[0] + 1) * (base[1] - shape[1] + 1)
  return shape[-1] // base[-1] if base and shape and base[-1] else 1


def expand(
  base: Float[Array | np.ndarray, '...'],
  kind: str,
  shape: Shape,
  inputs: bool = False,
) -> Float[Array, '...']:
  """The kernel of which a base has each number once.

  Args:
    base: the base kernel.
    kind: `'negation'`: each filter and its opposite; where their number is odd
      the last has none. `'repeat'`: each filter some times. `'translation'`:
      all windows of a larger filter, row by row. `'p4'`: each filter turned by
      0, 90, 180 and 270 degrees, counter-clockwise; `'p4m'`: then mirrored left
      to right and turned.
    shape: of the kernel.
    inputs: of the groups: whether the inputs are the outputs of such a layer,
      so that their copies move along.

  Raises:
    ValueError: the base does not expand to a kernel of this shape.

  >>> expand(jnp.array([[1.0, 2.0]]), 'negation', (1, 4)).tolist()
  [[1.0, 2.0, -1.0, -2.0]]
  """
  require_fit(base.shape, kind, shape, inputs)
  base = jnp.asarray(base)
  if kind == 'negation':
    opposite = -base[..., : shape[-1] - base.shape[-1]]
    return jnp.concatenate([base, opposite], -1)
  if kind == 'repeat':
    return jnp.concatenate([base] * copies_of(kind, base.shape, shape), -1)
  if kind == 'translation':
    return _windows(base, shape)
  return _turned_inputs(base, kind) if inputs else _turned(base, kind)


def project(
  kernel: Float[Array, '...'], kind: str, base: Shape, inputs: bool = False
) -> tuple[Float[Array, '...'], Float[Array, '...']]:
  """The base nearest to a kernel in squared error: the mean over the copies.

  Of an expanded base it is that base, bit for bit.

  Args:
    kernel: any array of floats.
    kind: see `expand`.
    base: shape of the base kernel.
    inputs: see `expand`.

  Returns:
    The base, and how many numbers of the kernel each of its numbers is, both
    in at least float32.
  """
  w = wide(kernel)
  grow = lambda b: expand(b, kind, kernel.shape, inputs)
  _, back = jax.vjp(grow, jnp.zeros(base, w.dtype))
  (counts,) = back(grow(jnp.ones(base, w.dtype)))
  mean = back(w)[0] / counts
  # What a rounded mean of equal numbers is off by.
  return mean + back(w - grow(mean))[0] / counts, counts


def group_table(kind: str) -> list[list[int]]:
  """Of elements `g` and `h` the number of `g^-1 h`.

  An element is `turns`, or `4 + turns` for a mirror image that is turned.

  >>> group_table('p4')[1]
  [3, 0, 1, 2]
  """

  def relative(g, h):
    (mirror, turns), (other, more) = divmod(g, 4), divmod(h, 4)
    difference = turns - more if mirror else more - turns
    return 4 * (mirror ^ other) + difference % 4

  count = range(GROUPS[kind])
  return [[relative(g, h) for h in count] for g in count]


def act(element: int, x: Float[Array, 'h w ...']) -> Float[Array, 'h w ...']:
  """Mirrors the columns for elements from 4 on, and turns by quarters."""
  mirror, turns = divmod(element, 4)
  return jnp.rot90(x[:, ::-1] if mirror else x, turns)


def require_fit(base: Shape, kind: str, shape: Shape, inputs: bool) -> None:
  """Raises a `ValueError` unless a base expands to a kernel of this shape."""
  if kind not in KINDS:
    raise ValueError(f'kind is {kind!r}; it must be one of {KINDS}.')
  if inputs and kind not in GROUPS:
    raise ValueError(f'inputs=True is of {", ".join(GROUPS)}, not of {kind}.')
  fits = len(base) == len(shape) >= 1
  if fits and (kind in GROUPS or kind == 'translation'):
    fits = len(shape) == 4
  if fits:
    copies = copies_of(kind, base, shape)
    filters = base[-1] * copies
    if kind == 'negation':
      filters -= shape[-1] % 2
    fits = 1 <= copies <= MOST and filters == shape[-1]
    if kind == 'translation':
      windows = zip(base[:2], shape[:2], strict=True)
      fits = fits and all(b >= s >= 1 for b, s in windows)
      fits = fits and base[2] == shape[2]
    else:
      fits = fits and base[:-1] == shape[:-1]
    if kind in GROUPS:
      fits = fits and shape[0] == shape[1]
      fits = fits and not (inputs and shape[2] % GROUPS[kind])
  if not fits:
    raise ValueError(
      f'A base of shape {tuple(base)} does not expand by {kind!r} to a kernel '
      f'of shape {tuple(shape)}, {inputs=}. Groups and translations are of '
      'convolutions [height, width, in, out], those of groups square; there '
      f'may be {MOST} copies.'
    )


def _windows(base, shape):
  h, w = shape[:2]
  rows, columns = (b - s + 1 for b, s in zip(base.shape, (h, w), strict=False))
  places = [(i, j) for i in range(rows) for j in range(columns)]
  return jnp.concatenate([base[i : i + h, j : j + w] for i, j in places], -1)


def _turned(base, kind):
  return jnp.concatenate([act(g, base) for g in range(GROUPS[kind])], -1)


def _turned_inputs(base, kind):
  h, w, n_in, n_out = base.shape
  n = GROUPS[kind]
  parts = base.reshape(h, w, n, n_in // n, n_out)
  kernels = [
    act(g, parts[:, :, jnp.array(row)]).reshape(h, w, n_in, n_out)
    for g, row in enumerate(group_table(kind))
  ]
  return jnp.concatenate(kernels, -1)
