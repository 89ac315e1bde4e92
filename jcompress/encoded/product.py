"""Vector codes: sub-vectors of a weight by codebooks, summed over stages."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.arithmetic.look_up import (
  conv_by_table,
  matmul_by_sums,
  matmul_by_table,
)
from jcompress.arithmetic.windows import conv_padding
from jcompress.encoded.leaf import (
  Encoded,
  leaf,
  look_up,
  static,
  stream_entropy,
  width,
)


class Operations(NamedTuple):
  """What one product with a quantized weight costs, and with a dense one.

  Attributes:
    multiply_adds: of inputs, or of their sums, with the codebooks.
    additions: of looked-up entries, or of inputs that share a code.
    dense: multiply-adds with the dense weight.
  """

  multiply_adds: int
  additions: int
  dense: int


@leaf
class Product(Encoded):
  """Product and residual quantization: `sum_t centers[t, b, codes[t, .., b]]`.

  The axis of the weight is cut into blocks of `length` entries, the last one
  padded with zeros. Each sub-vector is the sum, over the stages, of one center
  of its block.

  Attributes:
    centers: float `[stages, blocks, k, length]`.
    codes: unsigned `[stages, *other_axes, blocks]`, the axes of the weight but
      `axis` in their order; each in `0 .. k - 1`.
    axis: of the weight that is cut, not negative.
    shape: of the weight.
  """

  centers: Any
  codes: Any
  axis: int = static()
  shape: tuple[int, ...] = static()

  def decode(self):
    centers, codes = jnp.asarray(self.centers), jnp.asarray(self.codes)
    stages, blocks, k, length = centers.shape
    others = self.shape[: self.axis] + self.shape[self.axis + 1 :]
    if (
      codes.shape != (stages, *others, blocks)
      or not 0 <= self.axis < len(self.shape)
      or blocks != -(-self.shape[self.axis] // length)
    ):
      raise ValueError(
        f'Codes {codes.shape} of centers {centers.shape} do not make up a '
        f'weight {self.shape} along axis {self.axis}.'
      )
    if not codes.size:
      return jnp.zeros(self.shape, centers.dtype)
    rows = centers.astype(jnp.float32).reshape(stages, blocks * k, length)
    block = jax.lax.broadcasted_iota(jnp.int32, codes.shape, codes.ndim - 1)
    places = codes.astype(jnp.int32) + k * block
    total = look_up(rows[0], places[0])
    for t in range(1, stages):
      total = total + look_up(rows[t], places[t])
    joined = total.reshape(*others, blocks * length)
    cropped = joined[..., : self.shape[self.axis]].astype(centers.dtype)
    return jnp.moveaxis(cropped, -1, self.axis)

  def bits(self):
    codes = sum(stream_entropy(stage) for stage in self.codes)
    return width(self.centers) * self.centers.size + codes

  def matmul(self, x: Float[Array, '*batch n_in']) -> Float[Array, '*batch n']:
    """`x @ decode()` of a weight `[in, out]`, without decoding it.

    Along axis 0 by a look-up table: the products of the inputs with all centers
    of a block, of which each output takes one. Along axis 1 the inputs that
    share a code are added first. Sums are in float32.

    Args:
      x: inputs `[..., in]`.

    Raises:
      ValueError: the weight is not a matrix, or `x` does not fit.

    References:
      Wu et al., Quantized Convolutional Neural Networks for Mobile Devices,
      2016, arXiv 1512.06473, section 3.1.
    """
    if len(self.shape) != 2:
      raise ValueError(f'matmul wants a matrix, and the shape is {self.shape}.')
    if x.ndim < 1 or x.shape[-1] != self.shape[0]:
      raise ValueError(
        f'x {x.shape} does not fit the weight {self.shape}: its last axis must '
        f'be {self.shape[0]}.'
      )
    product = matmul_by_sums if self.axis else matmul_by_table
    rows = x.reshape(math.prod(x.shape[:-1]), self.shape[0])
    out = product(rows, jnp.asarray(self.centers), jnp.asarray(self.codes))
    out = out[:, : self.shape[1]].reshape(*x.shape[:-1], self.shape[1])
    return out.astype(jnp.result_type(x, self.centers))

  def conv(
    self,
    x: Float[Array, 'n height width channels'],
    strides: tuple[int, int] = (1, 1),
    padding: str | tuple[tuple[int, int], ...] = 'VALID',
    groups: int = 1,
  ) -> Float[Array, 'n out_height out_width out_channels']:
    """Convolution with a kernel cut along its input channels, not decoded.

    Each input position is multiplied with all centers once; then each output
    adds up one entry a block for each offset of the kernel. Sums are in
    float32.

    Args:
      x: `[n, height, width, groups * in]`, for a kernel
        `[height, width, in, out]` with `axis == 2`.
      strides: of the window.
      padding: 'VALID', 'SAME', 'SAME_LOWER', or pairs: rows of zeros before and
        after, then columns.
      groups: of channels; `out` must be a multiple of it.

    Raises:
      ValueError: the kernel is of another form; `x`, strides, padding or groups
        do not fit.

    References:
      Wu et al., 2016, arXiv 1512.06473, section 3.1, convolutional layers.
    """
    if len(self.shape) != 4 or self.axis != 2:
      raise ValueError(
        'conv wants a kernel [height, width, in, out] cut along axis 2, got '
        f'{self.shape} cut along axis {self.axis}.'
      )
    pads = conv_padding(x.shape, self.shape, strides, padding, groups)
    out = conv_by_table(
      jnp.pad(x, ((0, 0), *pads, (0, 0))),
      jnp.asarray(self.centers),
      jnp.asarray(self.codes),
      strides,
      groups,
    )
    return out.astype(jnp.result_type(x, self.centers))

  def operations(
    self, inputs: int = 1, outputs: int | None = None, groups: int = 1
  ) -> Operations:
    """Counts the operations of `matmul` or `conv`, and of the dense product.

    A matrix `[in, out]` along axis 0 takes `in * k` multiply-adds and
    `out * blocks` additions for each input and stage; a kernel `[h, w, in,
    out]` `inputs * groups * in * k` and `outputs * h * w * out * blocks`.
    Padding is not counted.

    Args:
      inputs: vectors, or for a kernel positions of the input.
      outputs: positions of the output of a kernel; default: as many.
      groups: of channels of a kernel.

    Raises:
      ValueError: there is no product with a weight of this form.

    References:
      Wu et al., 2016, arXiv 1512.06473, section 3.1.
    """
    stages, blocks, k, _ = self.centers.shape
    outputs = inputs if outputs is None else outputs
    if len(self.shape) == 2 and self.axis < 2:
      cut, other = self.shape[self.axis], self.shape[1 - self.axis]
      if outputs != inputs or groups != 1:
        raise ValueError('A matrix has as many outputs as inputs, one group.')
      counts = cut * k * stages, other * blocks * stages, cut * other
      return Operations(*(inputs * count for count in counts))
    if len(self.shape) == 4 and self.axis == 2:
      height, width_, channels, out_channels = self.shape
      window = height * width_ * out_channels
      return Operations(
        inputs * groups * channels * k * stages,
        outputs * window * blocks * stages,
        outputs * window * channels,
      )
    raise ValueError(
      f'No product with a weight {self.shape} cut along axis {self.axis}: it '
      'must be a matrix, or a kernel [height, width, in, out] along axis 2.'
    )
