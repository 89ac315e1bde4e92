"""A layer of a traced model, run as the smaller layers of its factors."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jcompress.factor.method import Method, Shape, Stage
from jcompress.factor.methods import svd
from jcompress.factor.svd import fold
from jcompress.traced.layers import Layer

Factors = Sequence[Float[Array, '...']]


def fit(method: Method, layer: Layer) -> Method:
  """The method for the kernel of a layer, folded by what the layer sums over.

  Raises:
    ValueError: the layer cannot run as such factors; the path is named.
  """
  why = _reason(method, layer)
  if not why and method.name == 'svd' and layer.kind == 'dense':
    method = svd(*method.ranks, in_axes=layer.in_axes)
  try:
    if not why:
      method.stages(shape_of(layer))
  except ValueError as error:
    why = str(error)
  if why:
    raise ValueError(
      f'{layer.path} cannot be factored by {method.name}: {why} Leave it out '
      'of the pattern, or give it another method.'
    )
  return method


def shape_of(layer: Layer) -> Shape:
  """The shape of what is factored, see `to_factor`."""
  operand = layer.contraction.operand
  if layer.kind != 'conv':
    return operand.shape
  shape = layer.contraction.eqn.invars[1].aval.shape
  return tuple(shape[d] for d in _order(layer))


def to_factor(layer: Layer, kernel: Float[Array, '...']) -> Float[Array, '...']:
  """A kernel as it is factored: of a convolution `[*window, in, out]`."""
  if layer.kind != 'conv':
    return kernel
  return layer.contraction.operand.arrange(kernel).transpose(_order(layer))


def from_factors(
  layer: Layer, kernel: Float[Array, '...']
) -> Float[Array, '...']:
  """Inverts `to_factor`."""
  operand = layer.contraction.operand
  if layer.kind != 'conv':
    return kernel.reshape(operand.shape)
  order = _order(layer)
  back = [order.index(d) for d in range(len(order))]
  return operand.restore(kernel.transpose(back))


def covariance(
  layer: Layer, moments: Float[Array, '1 inputs inputs']
) -> Float[Array, 'inputs inputs']:
  """Second moments of a layer's inputs in the order in which it is factored.

  Args:
    layer: of one group.
    moments: in the order of `layer.matrix`, as of `curvature.input_hessian`.

  Raises:
    ValueError: moments of another shape.
  """
  shape = layer.contraction.operand.shape
  n_in = math.prod(shape[axis] for axis in layer.in_axes)
  n_out = math.prod(shape) // n_in
  if moments.shape != (1, n_in, n_in):
    raise ValueError(
      f'The moments of {layer.path} are {moments.shape}; its inputs need '
      f'{(1, n_in, n_in)}.'
    )
  rows = jnp.tile(jnp.arange(n_in, dtype=float)[None, :, None], (1, 1, n_out))
  axes = layer.in_axes if layer.kind == 'dense' else None
  folded, _ = fold(to_factor(layer, layer.kernel(rows)), axes)
  order = folded[:, 0].astype(int)
  return moments[0][order][:, order]


def run(method: Method, layer: Layer, x: Any, factors: Factors) -> Any:
  """What the layer computes with the product of the factors, without bias.

  Args:
    method: as `fit` gives it.
    layer: traced with inputs of this shape.
    x: its input.
    factors: of `to_factor(layer, kernel)`.
  """
  stages = method.stages(shape_of(layer))
  got = [tuple(f.shape) for f in factors]
  if got != [s.shape for s in stages]:
    raise ValueError(
      f'{layer.path} has factors of shapes {got}; {method.name}'
      f'{method.ranks} needs {[s.shape for s in stages]}.'
    )
  if layer.kind == 'conv':
    y = _convolve(layer, x, factors, stages)
  else:
    y = _multiply(method, layer, x, factors, stages)
  return y.astype(layer.contraction.eqn.outvars[0].aval.dtype)


def _reason(method, layer):
  """Why a layer of this kind has no such factors; '' where it has."""
  found, name = layer.contraction, method.name
  if layer.kind == 'embed':
    return 'its rows are looked up, not multiplied.'
  if layer.groups > 1 or found.group_dims:
    return f'it has {max(layer.groups, 2)} independent groups.'
  if layer.kind == 'conv':
    if name == 'tensor_train':
      return 'it is a convolution, and a tensor train is of dense layers.'
    if name == 'svd' and method.options[0] is not None:
      return 'it is a convolution: leave out in_axes.'
    return ''
  if any(eqn.primitive.name == 'rev' for eqn in found.operand.steps):
    return 'its kernel is reversed before it multiplies.'
  axes, ins = len(found.operand.shape), layer.in_axes
  if name in ('separable', 'depthwise'):
    return 'it is a dense layer, which has no rows and columns.'
  if name == 'svd':
    wanted = method.options[0]
    is_given = wanted is not None
    if is_given and sorted(i % axes for i in wanted) != list(ins):
      return f'it sums over the axes {ins}, not {wanted}.'
  elif name == 'tensor_train':
    if ins != tuple(range(len(ins))):
      return f'it sums over the axes {ins}, which must be the first.'
  elif ins != tuple(range(axes - 1)):
    return f'it sums over the axes {ins}; take svd.'
  return ''


def _order(layer):
  """The dimensions of a convolution's kernel as window, in, out."""
  numbers = layer.contraction.eqn.params['dimension_numbers']
  out, inner, *window = numbers.rhs_spec
  return [*window, inner, out]


def _convolve(layer, x, factors, stages):
  """Each axis is strided, padded and dilated by the one stage wide along it."""
  params = layer.contraction.eqn.params
  order = _order(layer)
  numbers = params['dimension_numbers']
  between = numbers._replace(out_spec=numbers.lhs_spec)
  n = len(order) - 2
  back = [order.index(d) for d in range(n + 2)]
  sizes = [math.prod(s.shape[:n]) for s in stages]
  widest = sizes.index(max(sizes))
  wide_along = lambda a: [i for i, s in enumerate(stages) if s.shape[a] > 1]
  owners = [max(wide_along(a), default=widest) for a in range(n)]
  for i, (stage, factor) in enumerate(zip(stages, factors, strict=True)):
    own = lambda name, other, i=i: [
      value if owner == i else other
      for value, owner in zip(params[name], owners, strict=True)
    ]
    x = lax.conv_general_dilated(
      x,
      factor.transpose(back).astype(x.dtype),
      own('window_strides', 1),
      own('padding', (0, 0)),
      own('lhs_dilation', 1),
      own('rhs_dilation', 1),
      numbers if i == len(stages) - 1 else between,
      feature_group_count=stage.groups,
      precision=params['precision'],
      preferred_element_type=params['preferred_element_type'],
    )
  return x


def _multiply(method, layer, x, factors, stages: Sequence[Stage]):
  """Sums over the letters of each stage that no later one has."""
  found = layer.contraction
  params, side = found.eqn.params, found.side
  contracted, _ = params['dimension_numbers']
  partner = dict(zip(contracted[side], contracted[1 - side], strict=True))
  inner = [partner[d] for d in found.in_dims]
  rest = [d for d in range(x.ndim) if d not in inner]
  letters, first = _letters(method, layer, stages)
  sizes = [size for _, size in letters[:first]]
  given = ''.join(letter for letter, _ in letters[:first])
  y = x.transpose(*rest, *inner).reshape(*(x.shape[d] for d in rest), *sizes)
  out = ''.join(letter for letter, _ in letters[first:])
  for i, (stage, factor) in enumerate(zip(stages, factors, strict=True)):
    later = ''.join(s.axes for s in stages[i + 1 :])
    # Last the letters of the product, in their order.
    both = [c for c in dict.fromkeys(given + stage.axes) if c in later]
    kept = ''.join(c for c in both if c not in out)
    kept += ''.join(c for c in out if c in given + stage.axes)
    y = jnp.einsum(
      f'...{given},{stage.axes}->...{kept}',
      y,
      factor.astype(y.dtype),
      precision=params['precision'],
      preferred_element_type=params['preferred_element_type'],
    )
    given = kept
  return _placed(layer, y, len(rest))


def _letters(method, layer, stages):
  """The product's letters and sizes, those summed over first; their number."""
  shape = layer.contraction.operand.shape
  out = method.equation(shape).rpartition('>')[2]
  sizes: dict[str, int] = {}
  for stage in stages:
    for letter, size in zip(stage.axes, stage.shape, strict=True):
      sizes[letter] = max(size, sizes.get(letter, 1))
  pairs = [(letter, sizes[letter]) for letter in out]
  if method.name == 'tensor_train':
    return pairs, len(method.options[0])
  ins = [pairs[a] for a in layer.in_axes]
  return ins + [p for p in pairs if p not in ins], len(ins)


def _placed(layer, y: jax.Array, n_rest: int) -> jax.Array:
  """A result `[*rest, *out axes]` in the layout of the traced product."""
  found = layer.contraction
  rest, free = y.shape[:n_rest], sorted(found.out_dims)
  shape, dims = found.operand.shape, found.operand.dims
  outs = [a for a in range(len(shape)) if a not in layer.in_axes]
  y = y.reshape(*rest, *(shape[a] for a in outs))
  order = [a for d in free for a in dims[d]]
  order += [a for a in outs if a not in order]  # of size one
  y = y.transpose(*range(n_rest), *(n_rest + outs.index(a) for a in order))
  kernel = found.eqn.invars[found.side].aval.shape
  y = y.reshape(*rest, *(kernel[d] for d in free))
  if found.side == 0:
    front = range(n_rest, y.ndim)
    y = y.transpose(*front, *range(n_rest))
  return y
