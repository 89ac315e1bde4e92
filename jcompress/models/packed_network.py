"""Whole binarized networks that compute with packed bits."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from jcompress.binarize.binarized import ap2
from jcompress.binarize.folding import fold_threshold
from jcompress.encoded import Signs, is_encoded
from jcompress.encoded.packed_signs import PackedSigns, packed_signs
from jcompress.models.binarized import BinarizedNet
from jcompress.models.packed_layers import Affine, PackedLayer

_PIXELS = (None, 'unit', 'symmetric')
_SIGNS = ('sign', 'stochastic_sign', 'scaled_sign')


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PackedNetwork:
  """A binarized network whose weights are packed signs; a pytree.

  `jit_packed` compiles it.

  Attributes:
    layers: in order.
  """

  layers: tuple[PackedLayer, ...]

  def __call__(
    self, x: Num[Array | np.ndarray, 'batch ...']
  ) -> Float[Array, 'batch classes']:
    """Computes the outputs of the model, in float32.

    Args:
      x: what the model takes; the bytes that stand for it if the network was
        packed with `pixels`.

    Raises:
      ValueError: `x` is no array of bytes, and it should be.
    """
    x = jnp.asarray(x)
    is_bytes = x.dtype == jnp.uint8
    if is_bytes != (self.layers[0].pixels is not None):
      raise ValueError(
        f'x is {x.dtype}: give uint8 exactly if the network is packed with '
        'pixels.'
      )
    for layer in self.layers:
      x = layer(x)
    return x


def jit_packed() -> Callable[[PackedNetwork, Any], jax.Array]:
  """Compiles `PackedNetwork.__call__`: a function of a network and its input.

  Counting bits takes as much time as vectors are narrow, and XLA for the CPU
  uses half of what AVX-512 has, unless it is told to use all.
  """
  options = None
  if jax.default_backend() == 'cpu':
    options = {'xla_cpu_prefer_vector_width': 512}
  return jax.jit(PackedNetwork.__call__, compiler_options=options)


def pack_network(
  model: BinarizedNet,
  encoded: Any,
  batch_stats: Any,
  *,
  pixels: str | None = None,
) -> PackedNetwork:
  """Packs a trained binarized network so that it computes with bits.

  A product of signs is a count of differing bits. A batch norm and the sign
  that follows become one threshold for each unit, on a whole number, so that
  nothing but bits goes from layer to layer; with `'scaled_sign'` they stay
  floats.

  Args:
    model: with `'sign'`, `'stochastic_sign'` or `'scaled_sign'`.
    encoded: its params as the compressor encoded them, or as they were unpacked
      from a file: `Signs` where kernels are binary.
    batch_stats: its running statistics.
    pixels: how bytes `u` stand for the inputs of a first layer that is binary:
      `'unit'`, `u / 255`, or `'symmetric'`, `2 u / 255 - 1`. The network then
      takes bytes and multiplies their bits, one plane at a time. Default: it
      takes floats, and its first kernel is a float array.

  Raises:
    ValueError: another activation; `pixels` is none of these, or the first
      kernel has no signs; a kernel behind signs has none and is not the last.

  References:
    Hubara et al., Binarized Neural Networks, 2016, arXiv 1602.02830.
    Rastegari et al., XNOR-Net, 2016, arXiv 1603.05279, section 3.2.
  """
  if model.activation not in _SIGNS:
    raise ValueError(
      f'activation is {model.activation!r}; packed bits need one of {_SIGNS}.'
    )
  if pixels not in _PIXELS:
    raise ValueError(f'pixels is {pixels!r}; it must be one of {_PIXELS}.')
  scaled = model.activation == 'scaled_sign'
  pooled = [i == len(b) - 1 for b in model.blocks for i in range(len(b))]
  last = len(model.layers) - 1
  layers = []
  for i, name in enumerate(model.layers):
    weight, scale = _weight(encoded[name]['kernel'], i == 0 and not pixels)
    is_float = not isinstance(weight, PackedSigns)
    relu = 0 < i == last and 'last' in model.float_layers
    if is_float and (pixels if i == 0 else not relu):
      raise ValueError(
        f'{name}/kernel has no signs: binarize it, or name it in float_layers, '
        'and give no pixels if it is the first.'
      )
    if i == 0 and pixels:
      scale = scale / 255
    is_next_float = i + 1 == last and 'last' in model.float_layers
    folds = i < last and not (is_float or scaled or is_next_float)
    norm = _norm(model, encoded, batch_stats, i)
    layers.append(
      PackedLayer(
        weight,
        (_threshold if folds else _affine)(scale, *norm),
        pool=i < len(pooled) and pooled[i],
        padding=_hashable(model.padding),
        pixels=pixels if i == 0 else None,
        scaled=scaled and i > 0 and not relu,
        relu=relu,
      )
    )
  return PackedNetwork(tuple(layers))


def _weight(leaf, as_float):
  """Packed signs and their scales, none of them negative; or floats and one."""
  if as_float or not isinstance(leaf, Signs):
    return leaf.decode(), np.ones(())
  scale, signs = jnp.asarray(leaf.scale), jnp.asarray(leaf.signs)
  packed = packed_signs(signs ^ (scale < 0), jnp.abs(scale))
  return packed, np.asarray(packed.scale, np.float64).reshape(-1)


def _norm(model, encoded, batch_stats, index):
  """`slope, mean, bias` of what follows a layer: `slope (y - mean) + bias`."""
  is_last = index + 1 == len(model.layers)
  if is_last and not model.output_norm:
    bias = _to_float64(encoded[model.layers[index]]['bias'])
    return np.ones_like(bias), np.zeros_like(bias), bias
  name = f'norm{index + 1}'
  mean = _to_float64(batch_stats[name]['mean'])
  scale, bias = (
    _to_float64(encoded[name][k]) if name in encoded else default
    for k, default in (('scale', np.ones_like(mean)), ('bias', mean * 0))
  )
  if model.norm == 'shift':
    inverse = jnp.asarray(batch_stats[name]['inverse_std'])
    power = ap2(jnp.asarray(scale, jnp.float32)) * ap2(inverse)
    return np.asarray(power, np.float64), mean, bias
  variance = _to_float64(batch_stats[name]['var'])
  return scale / np.sqrt(variance + model.epsilon), mean, bias


def _to_float64(x):
  return np.asarray(x.decode() if is_encoded(x) else x, np.float64)


def _threshold(scale, slope, mean, bias):
  """The sign of the norm of `scale * sums`; constant for scales of zero."""
  scale = np.broadcast_to(scale, mean.shape)
  is_zero = scale == 0
  center = np.where(is_zero, 0, mean / np.where(is_zero, 1, scale))
  bias = np.where(is_zero, bias - slope * mean, bias)
  return fold_threshold(slope * scale, bias, center, np.ones_like(mean), 0)


def _affine(scale, slope, mean, bias):
  factor = np.broadcast_to(slope * scale, mean.shape)
  return Affine(*(jnp.float32(a) for a in (factor, bias - slope * mean)))


def _hashable(padding):
  if isinstance(padding, str):
    return padding
  return tuple((int(a), int(b)) for a, b in padding)
