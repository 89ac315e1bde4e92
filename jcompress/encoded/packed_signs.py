"""Signs of a weight in words, ready to be multiplied."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from jcompress.arithmetic.binary_dot import binary_dot
from jcompress.arithmetic.packing import pack_signs
from jcompress.arithmetic.xnor_ops import Padding, binary_conv


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PackedSigns:
  """A weight `scale * signs` whose signs are packed along its inputs.

  Attributes:
    words: uint32, the shape of the weight with 32 inputs in a word.
    scale: for each output (the last axis), or a scalar.
    shape: of the weight, `[in, out]` or `[height, width, in, out]`.
  """

  words: UInt32[Array, '...']
  scale: Float[Array, '...']
  shape: tuple[int, ...] = dataclasses.field(metadata={'static': True})

  def matmul(
    self, x: Bool[Array, '*batch n_in'] | Float[Array, '*batch n_in']
  ) -> Float[Array, '*batch n']:
    """`sgn(x) @ (scale * signs)`, see `Signs.matmul`."""
    if len(self.shape) != 2:
      raise ValueError(f'matmul wants a matrix, and the shape is {self.shape}.')
    if x.ndim < 1 or x.shape[-1] != self.shape[0]:
      raise ValueError(
        f'x {x.shape} does not fit the weight {self.shape}: its last axis must '
        f'be {self.shape[0]}.'
      )
    return self._scaled(binary_dot(pack_signs(x), self.words, x.shape[-1]), x)

  def conv(
    self,
    x: Bool[Array, 'n height width channels']
    | Float[Array, 'n height width channels'],
    strides: tuple[int, int] = (1, 1),
    padding: Padding = 'VALID',
    groups: int = 1,
  ) -> Float[Array, 'n out_height out_width out_channels']:
    """Convolution of `sgn(x)` with `scale * signs`, see `Signs.conv`."""
    if len(self.shape) != 4:
      raise ValueError(
        'conv wants a kernel [height, width, in, out], and the shape is '
        f'{self.shape}.'
      )
    if groups > 0 and x.shape[3] != groups * self.shape[2]:
      raise ValueError(
        f'x {x.shape} does not fit: wanted [n, height, width, '
        f'{groups * self.shape[2]}].'
      )
    return self._scaled(binary_conv(x, self.words, strides, padding, groups), x)

  def _scaled(self, products, x):
    scale = self.scale.astype(jnp.float32).reshape(-1)
    scaled = products.astype(jnp.float32) * scale
    return scaled.astype(jnp.result_type(x, self.scale))


def packed_signs(
  signs: Bool[Array, '...'], scale: Float[Array, '...']
) -> PackedSigns:
  """Packs a weight along its inputs, the last axis but one.

  Raises:
    ValueError: it is neither a matrix nor a kernel of four axes, or the scale
      varies along anything but the last axis.
  """
  signs, scale = jnp.asarray(signs), jnp.asarray(scale)
  if signs.ndim not in (2, 4):
    raise ValueError(
      f'Signs of shape {signs.shape} are no matrix [in, out] and no kernel '
      '[height, width, in, out]: multiply by decode() instead.'
    )
  if scale.size not in (1, scale.shape[-1] if scale.ndim else 1):
    raise ValueError(
      f'The scale {scale.shape} varies along what is summed over: it must be '
      'one number, or one for each output. Multiply by decode() instead.'
    )
  return PackedSigns(pack_signs(signs, -2), scale, signs.shape)
