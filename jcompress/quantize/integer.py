"""A whole network in integer arithmetic, and its twin in exact floats."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import encoded as encoded_lib
from jcompress import tree
from jcompress.encoded import Quantized
from jcompress.quantize.activations import (
  ActivationRange,
  activation_codes,
  activation_scale,
  require_range,
)
from jcompress.traced import jaxprs
from jcompress.traced import layers as layers_lib

Ranges = Mapping[str, ActivationRange]
_EXACT = 2**24  # every whole number up to here is a float32
_HIGHEST = (jax.lax.Precision.HIGHEST,) * 2


def integer_model(
  apply_fn: Callable[..., Any],
  encoded: Any,
  ranges: Ranges,
  *inputs: Any,
  simulate: bool = False,
) -> Callable[..., Any]:
  """Makes a model that computes its layers in integers.

  The input of each layer in `ranges` becomes codes of up to 8 bits, which are
  multiplied with the codes of the kernel and summed in int32. One product with
  both scales makes floats of the sums; everything else, biases too, is the
  model's own:

      y = (s_x s_w) * sum_i x_i w_i,  x_i = round(input_i / s_x),

  with one `s_w` for each output unit. Layers that are not in `ranges` compute
  in floats on decoded kernels.

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    encoded: params whose kernels in `ranges` are `Quantized`, as
      `linear_quantize` encodes them, without tiles.
    ranges: of the inputs of layers by the paths of the kernels, see
      `calibrate_layers`.
    *inputs: examples of the inputs, or their shapes, to look at the model.
    simulate: does the same with floats that hold the codes: for hardware that
      is slow with integers, and as a check. The result is the same bit for bit,
      because no sum leaves the whole numbers that a float32 holds, up to 2^24;
      where `max(x) sum_i |w_i|` is larger, the codes of the input are split
      into digits of fewer bits, and the sums of the digits added up as int32.
      That needs the float products to be exact: not the ones of fast
      (Winograd) convolutions on a GPU.

  Returns:
    `(*inputs) -> outputs`; works under `jit`.

  Raises:
    ValueError: a path in `ranges` that is no layer's kernel, is not `Quantized`
      or has a scale that varies along what is summed over; a layer whose sums
      do not fit into an int32 (or, simulated, whose `sum_i |w_i|` exceeds
      2^24); no ranges at all.

  References:
    Vanhoucke et al., Improving the speed of neural networks on CPUs, 2011,
    Deep Learning and Unsupervised Feature Learning workshop.
    Jacob et al., Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference, 2018, arXiv 1712.05877, section 2.2.
  """
  is_leaf = encoded_lib.is_encoded
  leaves = dict(
    zip(
      tree.paths(encoded, is_leaf=is_leaf),
      encoded_lib.encoded_leaves(encoded),
      strict=True,
    )
  )
  params = encoded_lib.decode(encoded)
  found = layers_lib.layers(apply_fn, params, *inputs)
  _require_paths(ranges, [x.path for x in found if x.kind != 'embed'])
  weights = {path: _weights(leaves[path], path) for path in ranges}
  digits: dict[str, int] = {}
  for layer in found:
    if layer.path in ranges and layer.kind != 'embed':
      grid = ranges[layer.path]
      require_range(grid)
      most = _digits(layer, weights[layer.path], grid, simulate)
      digits[layer.path] = min(most, digits.get(layer.path, most))

  def call(layer, x, kernel):
    if layer.path not in digits or layer.kind == 'embed':
      return layer(x, kernel)
    dtype = jax.eval_shape(layer, x, kernel).dtype
    grid = ranges[layer.path]
    codes, w = activation_codes(jnp.asarray(x), grid), weights[layer.path]
    if simulate:
      sums = _simulated_sums(layer, codes, w.codes, digits[layer.path], grid)
    else:
      narrow = jnp.int8 if grid.signed else jnp.uint8
      common = jnp.promote_types(narrow, w.codes.dtype)
      sums = _sums(layer, codes.astype(common), w.codes, jnp.int32)
    return _rescale(layer, sums, activation_scale(grid), w).astype(dtype)

  return lambda *inputs: layers_lib.evaluate(
    apply_fn, params, *inputs, call=call
  )


class _Weights(NamedTuple):
  codes: np.ndarray  # whole multiples of the scale, in the least integers
  scale: np.ndarray  # of as many axes


def _weights(leaf, path):
  tiled = isinstance(leaf, Quantized) and leaf.tile is not None
  if not isinstance(leaf, Quantized) or tiled:
    kind = type(leaf).__name__ + (' in tiles' if tiled else '')
    raise ValueError(
      f'{path} is {kind}: a layer in integers needs a Quantized kernel without '
      'tiles, as linear_quantize encodes it. Leave the path out of ranges to '
      'compute the layer in floats.'
    )
  codes = tree.to_host(leaf.integers())
  for dtype in (np.int8, np.int16):
    if np.array_equal(codes.astype(dtype), codes):
      codes = codes.astype(dtype)
      break
  scale = np.asarray(tree.to_host(leaf.scale), np.float32)
  missing = codes.ndim - scale.ndim
  return _Weights(codes, scale.reshape((1,) * missing + scale.shape))


def _digits(layer, weights, grid, simulate):
  """Bits of the input that are summed at once, so that the sums are exact."""
  if any(weights.scale.shape[a] != 1 for a in layer.in_axes):
    raise ValueError(
      f'The scale {list(weights.scale.shape)} of {layer.path} varies along '
      f'{layer.in_axes}, over which the layer sums: quantize it with axis='
      f'{layer.out_axes}.'
    )
  sizes = np.abs(weights.codes.astype(np.int64)).sum(layer.in_axes)
  total = int(sizes.max(initial=0))
  if total * grid.steps >= 2**31 or (simulate and total > _EXACT):
    raise ValueError(
      f'The sums of {layer.path} may reach {total} times {grid.steps}, beyond '
      'exact arithmetic: quantize its kernel or its input to fewer bits.'
    )
  digits = grid.steps.bit_length()
  while total * (2**digits - 1) > _EXACT:
    digits -= 1
  return digits


def _sums(layer, x, codes, dtype):
  """The layer's dot product or convolution, summed in `dtype`."""
  found = layer.contraction
  args = [x, x]
  args[found.side] = found.operand.arrange(jnp.asarray(codes, x.dtype))
  precision = None if dtype == jnp.int32 else _HIGHEST
  params = dict(
    found.eqn.params, preferred_element_type=dtype, precision=precision
  )
  return jaxprs.bind(found.eqn.primitive, args, params)[0]


def _simulated_sums(layer, x, codes, digits, grid):
  sums, sign, rest = 0, jnp.sign(x), jnp.abs(x)
  for start in range(0, grid.steps.bit_length(), digits):
    higher = jnp.floor(rest * 2.0**-digits)
    digit = sign * (rest - higher * 2.0**digits)
    part = _sums(layer, digit, codes, jnp.float32)
    sums, rest = sums + part.astype(jnp.int32) * 2**start, higher
  return sums


def _rescale(layer, sums, scale, weights):
  rows = layer.response(sums)
  full = jnp.broadcast_to(weights.scale, weights.codes.shape)
  factors = scale * layer.matrix(full)[:, :1]  # [groups, 1, outputs]
  # The choice keeps XLA from one rounding for this product and a bias's sum,
  # which it does in some programs and not in others.
  rows = jnp.where(rows == 0, 0, rows.astype(jnp.float32) * factors)
  form = jax.ShapeDtypeStruct(sums.shape, jnp.float32)
  (y,) = jax.linear_transpose(layer.response, form)(rows)
  return y


def _require_paths(ranges, paths):
  unknown = sorted(set(ranges) - set(paths))
  if unknown or not ranges:
    given = ', '.join(unknown) if unknown else 'no path at all'
    raise ValueError(
      f'ranges has {given}; it must have paths of kernels of layers, of: '
      f'{", ".join(paths)}.'
    )
