"""Q-CNN: product quantization that corrects the errors of the responses."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.base import Compressor
from jcompress.combine import select
from jcompress.finite import require_finite
from jcompress.numerics import exact
from jcompress.quantize.error_correction import correct
from jcompress.quantize.product import product_quantize
from jcompress.traced import layers as layers_lib


def error_corrected_pq(
  apply_fn: Callable[[Any, Any], Any],
  inputs: Any,
  *,
  pattern: str = tree.KERNELS,
  k: int = 32,
  length: int = 4,
  axis: int = -2,
  sweeps: int = 10,
  ridge: float = 1e-4,
  seed: int = 0,
) -> Compressor:
  """Product quantization fitted to what the layers answer on data.

  Starts from `product_quantize` and lowers, layer after layer in the order in
  which they run, the squared error of the responses: inputs come from the
  network whose earlier layers are quantized already, wanted are the responses
  of the original network, so that later layers make good for earlier ones. One
  codebook a block is shared by all positions under a convolution's kernel, all
  groups and all outputs.

  A compressor of a whole tree of params: it needs the rest of the model to run
  it, so it takes a `pattern` itself and does not go into `select`. Biases and
  all other leaves stay as they are; codebooks train further by the chain rule.

  Args:
    apply_fn: `(params, inputs) -> outputs` of the model.
    inputs: examples that stand for the data, such as 1,000 images, as the model
      takes them. Each convolution unfolds them once: memory is `positions *
      window * channels` floats an example.
    pattern: the kernels to quantize, each used by one layer. The paper leaves
      the last layer as it is where it is small.
    k: codewords a block (32 and 128 in the paper).
    length: entries of a sub-vector along `axis` (4 for dense layers, 8 for
      convolutions in the paper).
    axis: of the kernels that is cut, one that the layer sums over; -2 is the
      axis of input channels of Flax's dense and convolution kernels.
    sweeps: of the alternation over all blocks of a layer, `>= 0`.
    ridge: holds codewords where dead inputs leave them undetermined, in units
      of the mean second moment of the inputs, `>= 0`.
    seed: of the k-means that is the start.

  Raises:
    ValueError: sweeps or ridge out of range; no inputs, NaN or inf in them, or
      a model that does not take them; a kernel that no layer, or more than one,
      multiplies with; an axis that a layer does not sum over; what
      `product_quantize` refuses.

  References:
    Wu et al., Quantized Convolutional Neural Networks for Mobile Devices, 2016,
    arXiv 1512.06473, sections 3.3 and 3.4.
  """
  if sweeps < 0 or not 0 <= ridge < float('inf'):
    raise ValueError(f'{sweeps=} and {ridge=} must be finite and >= 0.')
  quantizer = product_quantize(k, length=length, axis=axis, seed=seed)
  plain = select(pattern, quantizer)

  def init(params):
    chosen = tree.split(pattern, params)[0]
    structure, paths = jax.tree.structure(chosen), tree.paths(chosen)
    _require_layers(apply_fn, params, inputs, paths, axis)
    latent, state = plain.init(params)
    starts = zip(
      jax.tree.leaves(tree.split(pattern, latent)[0]),
      structure.flatten_up_to(state[0]),
      strict=True,
    )
    starts = dict(zip(paths, starts, strict=True))
    fits = jax.jit(fit)(params, inputs, starts)
    centers, states = zip(*(fits[path] for path in paths), strict=True)
    latent = tree.join(structure.unflatten(centers), latent)
    return latent, (structure.unflatten(states), *state[1:])

  def fit(params, inputs, starts):
    responses, fits = {}, {}

    def original(layer, x, kernel):
      responses[layer.path] = layer(x, kernel)
      return responses[layer.path]

    def corrected(layer, x, kernel):
      if layer.path not in starts or layer.kind == 'embed':
        return layer(x, kernel)
      centers, state = fits[layer.path] = starts[layer.path]
      if not kernel.size:
        return layer(x, kernel)
      view = _View(layer, kernel.shape, axis, centers.shape)
      found = correct(
        *_moments(view, x, responses[layer.path]),
        centers[0].astype(jnp.float32),
        view.to_matrix(state.codes),
        sweeps=sweeps,
        ridge=ridge,
      )
      centers = found.centers[None].astype(centers.dtype)
      state = state._replace(codes=view.to_leaf(found.codes, state.codes.dtype))
      fits[layer.path] = centers, state
      return layer(x, quantizer.view(centers, state))

    layers_lib.evaluate(apply_fn, params, inputs, call=original)
    layers_lib.evaluate(apply_fn, params, inputs, call=corrected)
    return fits

  return plain._replace(init=init)


class _View(NamedTuple):
  """A kernel cut along an axis, as `[groups, offsets, channels, outputs]`."""

  layer: layers_lib.Layer
  shape: tuple[int, ...]
  axis: int
  centers: tuple[int, ...]  # shape: [1, blocks, k, length]

  @property
  def cut(self):
    return self.axis % len(self.shape)

  def channels_last(self, x, first):
    """Splits the inputs, axis `first` of `x`, into offsets and channels."""
    in_axes = self.layer.in_axes
    sizes = [self.shape[a] for a in in_axes]
    x = x.reshape(*x.shape[:first], *sizes, *x.shape[first + 1 :])
    last = first + len(sizes) - 1
    x = jnp.moveaxis(x, first + in_axes.index(self.cut), last)
    shape = *x.shape[:first], -1, self.shape[self.cut], *x.shape[last + 1 :]
    return x.reshape(shape)

  def to_matrix(self, codes):
    """Codes `[1, *other_axes, blocks]` as `[groups, offsets, blocks, out]`."""
    length, size = self.centers[3], self.shape[self.cut]
    each = jnp.repeat(jnp.moveaxis(codes[0], -1, self.cut), length, self.cut)
    each = jax.lax.slice_in_dim(each, 0, size, axis=self.cut)
    return self.channels_last(self.layer.matrix(each), 1)[:, :, ::length]

  def to_leaf(self, codes, dtype):
    """Inverts `to_matrix`."""
    length, size = self.centers[3], self.shape[self.cut]
    in_axes = self.layer.in_axes
    each = jnp.repeat(codes, length, 2)[:, :, :size]
    rest = [self.shape[a] for a in in_axes if a != self.cut]
    each = each.reshape(each.shape[0], *rest, size, each.shape[-1])
    each = jnp.moveaxis(each, len(in_axes), 1 + in_axes.index(self.cut))
    each = each.reshape(each.shape[0], -1, each.shape[-1])
    each = jnp.moveaxis(self.layer.kernel(each), self.cut, -1)
    return each[None, ..., ::length].astype(dtype)


def _moments(view, x, y):
  """Second moments of the inputs, and their products with the responses."""
  blocks, _, length = view.centers[1:]
  rows = view.channels_last(view.layer.unfold(x).astype(jnp.float32), 2)
  missing = blocks * length - rows.shape[-1]
  rows = jnp.pad(rows, ((0, 0), (0, 0), (0, 0), (0, missing)))
  rows = rows.reshape(*rows.shape[:2], -1)
  wanted = view.layer.response(y).astype(jnp.float32)
  return (
    exact.second_moments(rows),
    exact.einsum('gni,gno->gio', rows, wanted) / rows.shape[1],
  )


def _require_layers(apply_fn, params, inputs, paths, axis):
  """Raises unless the model runs and sums over the axis of each kernel."""
  arrays = jax.tree.leaves(inputs)
  if not arrays or any(not jnp.size(x) for x in arrays):
    raise ValueError(
      f'The inputs have shapes {[jnp.shape(x) for x in arrays]}: give at least '
      'one example to fit the responses to.'
    )
  require_finite(inputs, 'the inputs that responses are fitted to')
  try:
    found = layers_lib.layers(apply_fn, params, inputs)
  except Exception as e:  # models refuse inputs in ways of their own
    raise ValueError(
      f'The model does not take inputs {[jnp.shape(x) for x in arrays]}: {e}'
    ) from e
  found = [layer for layer in found if layer.kind != 'embed']
  for layer in layers_lib.only(found, paths).values():
    axes = len(layer.in_axes + layer.out_axes)
    if axis % axes not in layer.in_axes:
      raise ValueError(
        f'axis is {axis}, and {layer.path} is summed over its axes '
        f'{layer.in_axes}: give one of these, in a call for this pattern.'
      )
