"""Layers of signs: packed forward, straight-through backward."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, UInt32

from jcompress.arithmetic.binary_dot import binary_dot, differing_bits
from jcompress.arithmetic.packing import WORD, gathered, pack_signs
from jcompress.arithmetic.windows import Padding as Padding
from jcompress.arithmetic.windows import conv_padding


def xnor_dense(
  x: Float[Array, '*batch n_in'], w: Float[Array, 'n_in_w n']
) -> Float[Array, '*batch n']:
  """`sgn(x) @ sgn(w)` by counting differing bits, with `sgn(0) = +1`.

  The gradient is that of the float product of the signs, times
  `[|x| <= 1]` and `[|w| <= 1]`: a hard tanh in place of each sign.

  >>> xnor_dense(jnp.array([0.5, -2.0]), jnp.array([[1.0], [-1.0]]))
  Array([2.], dtype=float32)

  Args:
    x: inputs `[..., in]`.
    w: latent weights `[in, out]`.

  Raises:
    ValueError: `x` does not fit `w`.

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830, algorithm
    1.
  """
  if x.ndim < 1 or x.shape[-1] != w.shape[0]:
    raise ValueError(
      f'x {x.shape} does not fit the weight {w.shape}: its last axis must be '
      f'{w.shape[0]}.'
    )

  def packed(x, w):
    return binary_dot(pack_signs(x), pack_signs(w, 0), w.shape[0])

  def dense(x, w):
    return jnp.matmul(gathered(x, (x.ndim - 1,)), gathered(w, (0,)))

  return _straight_through(packed, dense, x, w)


def xnor_conv(
  x: Float[Array, 'n height width channels'],
  w: Float[Array, 'rows columns channels_in out'],
  strides: tuple[int, int] = (1, 1),
  padding: Padding = 'VALID',
  groups: int = 1,
  dilation: tuple[int, int] = (1, 1),
) -> Float[Array, 'n out_height out_width out']:
  """Convolution of `sgn(x)` with `sgn(w)` by counting differing bits.

  What is padded counts as zero, not as a sign: it adds nothing, as in a float
  convolution of the signs with zeros around them. Gradients are as in
  `xnor_dense`.

  Args:
    x: `[n, height, width, groups * in]`.
    w: latent kernel `[rows, columns, in, out]`.
    strides: of the window.
    padding: 'VALID', 'SAME', 'SAME_LOWER', or pairs: rows of zeros before and
      after, then columns.
    groups: of channels; `out` must be a multiple of it.
    dilation: rows and columns from one position of the window to the next.

  Raises:
    ValueError: `x`, strides, padding, groups or dilation do not fit.

  References:
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
  """
  form = *_spans(w.shape[:2], dilation), *w.shape[2:]
  pads = conv_padding(x.shape, form, strides, padding, groups)

  def packed(x, w):
    return binary_conv(x, pack_signs(w, 2), strides, pads, groups, dilation)

  def dense(x, w):
    return jax.lax.conv_general_dilated(
      gathered(x, (1, 2, 3)),
      gathered(w, (0, 1, 2, 3)),
      strides,
      pads,
      rhs_dilation=dilation,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      feature_group_count=groups,
    )

  return _straight_through(packed, dense, x, w)


def binary_conv(
  x: Bool[Array, 'n height width channels']
  | Float[Array, 'n height width channels'],
  kernel: UInt32[Array, 'rows columns words out'],
  strides: tuple[int, int] = (1, 1),
  padding: Padding = 'VALID',
  groups: int = 1,
  dilation: tuple[int, int] = (1, 1),
) -> Int32[Array, 'n out_height out_width out']:
  """Convolution of signs with a kernel that is already packed, exactly.

  The channels of a position share a word, and so do positions of the window
  whose channels fit into one. Padding counts as zero, as in `xnor_conv`.

  Args:
    x: `[n, height, width, groups * in]`, or `x >= 0`.
    kernel: `pack_signs(w, 2)` of a kernel `[rows, columns, in, out]`.
    strides: of the window.
    padding: see `xnor_conv`.
    groups: of channels; `out` must be a multiple of it.
    dilation: rows and columns from one position of the window to the next.

  Raises:
    ValueError: `x`, strides, padding, groups or dilation do not fit.
  """
  rows, columns, _, outputs = kernel.shape
  channels = x.shape[3] // max(1, groups)
  form = *_spans((rows, columns), dilation), channels, outputs
  pads = conv_padding(x.shape, form, strides, padding, groups)
  if kernel.shape[2] != -(-channels // WORD):
    raise ValueError(
      f'x {x.shape} in {groups} groups does not fit a kernel of '
      f'{kernel.shape[2]} words: pack a kernel of {channels} channels.'
    )
  x = gathered(x, (1, 2, 3))
  kernel = gathered(kernel, (0, 1, 2) if groups == 1 else (0, 1, 2, 3))
  n, height, width, _ = x.shape
  inside_y = _inside(height, rows, strides[0], pads[0], dilation[0])
  inside_x = _inside(width, columns, strides[1], pads[1], dilation[1])
  sizes = len(inside_y), len(inside_x)
  if 0 in (n, *sizes, *form):
    return jnp.zeros((n, *sizes, outputs), jnp.int32)

  bits = pack_signs(x.reshape(n, height, width, groups, channels))
  bits = jnp.pad(bits, ((0, 0), *pads, (0, 0), (0, 0)))
  spans = [(m - 1) * s + 1 for m, s in zip(sizes, strides, strict=True)]
  patches = [
    bits[:, dy : dy + spans[0] : strides[0], dx : dx + spans[1] : strides[1]]
    for dy in range(0, rows * dilation[0], dilation[0])
    for dx in range(0, columns * dilation[1], dilation[1])
  ]
  vectors = _joined(jnp.stack(patches, -2), channels)
  window = kernel.reshape(rows * columns, kernel.shape[2], outputs)
  filters = _joined(jnp.moveaxis(window, -1, 0), channels).T
  products = rows * columns * channels - 2 * _differing_in_groups(
    vectors, filters
  )
  if any(sum(pads, ())):
    products += _of_padding(kernel, channels, inside_y, inside_x)
  return products


def _spans(window, dilation):
  """How many rows and columns a window covers."""
  if len(dilation) != 2 or min(dilation) < 1:
    raise ValueError(f'{dilation=} must be two positive numbers.')
  pairs = zip(window, dilation, strict=True)
  return [(n - 1) * step + 1 if n else 0 for n, step in pairs]


def _inside(size, window, stride, pad, step):
  """Whether a position of the output sees the input, by offset."""
  offsets = step * np.arange(window)
  span = offsets[-1] + 1 if window else 0
  count = max(0, (size + sum(pad) - span) // stride + 1)
  places = stride * np.arange(count)[:, None] + offsets - pad[0]
  return (places >= 0) & (places < size)


def _joined(words, channels):
  """Words of positions `[..., positions, words]` one after the other.

  Positions of few channels share words.
  """
  *others, positions, depth = words.shape
  share = WORD // channels
  if share < 2:
    return words.reshape(*others, positions * depth)
  widths = [(0, 0)] * len(others) + [(0, -positions % share)]
  parts = jnp.pad(words[..., 0], widths)
  parts = parts.reshape(*others, parts.shape[-1] // share, share)
  shifts = channels * jnp.arange(share, dtype=jnp.uint32)
  return jnp.sum(parts << shifts, -1, dtype=jnp.uint32)


def _differing_in_groups(vectors, filters):
  *places, groups, words = vectors.shape
  rows = vectors.reshape(math.prod(places), groups, words)
  if groups == 1:
    counts = differing_bits(rows[:, 0], filters)
  else:
    columns = filters.reshape(words, groups, filters.shape[1] // groups)
    counts = jax.vmap(differing_bits, 1, 1)(rows, columns)
  return counts.reshape(*places, filters.shape[1])


def _of_padding(kernel, channels, inside_y, inside_x):
  """What padding has taken away: its bits are zero, and count as `-1`.

  That is the sum of the signs of the kernel at the offsets that lie outside.
  """
  ones = jnp.sum(jax.lax.population_count(kernel), 2, dtype=jnp.int32)
  sums = 2 * ones - channels
  seen = jnp.einsum(
    'yd,xe,deo->yxo',
    jnp.asarray(inside_y, jnp.int32),
    jnp.asarray(inside_x, jnp.int32),
    sums,
  )
  return jnp.sum(sums, (0, 1)) - seen


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _straight_through(packed, dense, x, w):
  """`packed`, with the gradient of `dense` of signs through hard tanhs."""
  del dense
  return packed(x, w).astype(jnp.result_type(x, w))


def _forward(packed, dense, x, w):
  return _straight_through(packed, dense, x, w), (x, w)


def _backward(packed, dense, arrays, grad):
  del packed
  signs = [jnp.where(a >= 0, 1, -1).astype(grad.dtype) for a in arrays]
  out, pull_back = jax.vjp(dense, *signs)
  sharding = jax.typeof(out).sharding
  if sharding.spec != jax.typeof(grad).sharding.spec:
    grad = jax.sharding.reshard(grad, sharding)
  return tuple(
    jnp.where(jnp.abs(a) <= 1, g, 0).astype(a.dtype)
    for a, g in zip(arrays, pull_back(grad), strict=True)
  )


_straight_through.defvjp(_forward, _backward)
