"""Net2DeeperNet: a further layer that changes nothing yet."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.traced import layers
from jcompress.traced.agreement import require_equal

HINT = (
  ' A layer can be put only where all inputs are rectified: behind relu, not '
  'tanh, and not before the first layer.'
)


class IdentityNorm(NamedTuple):
  """A batch norm that is the identity on the batch it was made of."""

  scale: Float[Array, ' channels']
  bias: Float[Array, ' channels']
  mean: Float[Array, ' channels']
  var: Float[Array, ' channels']


def deepen(
  apply_fn: Callable[..., Any],
  params: Any,
  before: Mapping[str, str],
  *inputs: Any,
  window: tuple[int, int] = (3, 3),
  tolerance: float | None = None,
) -> tuple[Any, Callable[..., Any]]:
  """Puts rectified layers that are the identity before others.

  `relu(x I + 0) = x` where no entry of `x` is negative: behind a layer with
  relu. Before a convolution the new one is a convolution, its kernel 1 at the
  centre for each channel with itself; before a dense layer a dense one.

  >>> apply_fn = lambda p, x: jax.nn.relu(x @ p['a']['w']) @ p['b']['w']
  >>> params = {'a': {'w': jnp.ones((3, 4))}, 'b': {'w': jnp.ones((4, 2))}}
  >>> x = jnp.ones((1, 3))
  >>> deep, deep_apply = deepen(apply_fn, params, {'new': 'b/w'}, x)
  >>> deep['new']['kernel'].shape, deep_apply(deep, x).shape
  ((4, 4), (1, 2))

  Args:
    apply_fn: `(params, *inputs) -> outputs`, any traced model.
    params: nested dicts of arrays.
    before: by the name of the new layer, a path among the params such as `fc2b`
      or `params/fc2b`, the path of the kernel that it comes before.
    *inputs: arrays on which it is checked.
    window: of new convolutions, odd numbers.
    tolerance: as of `shrink`.

  Returns:
    The params with `{'kernel': ..., 'bias': ...}` of each new layer, by which a
    deeper model that is built with these names starts; and `deep_apply(params,
    *inputs)`, which computes it from the traced one.

  Raises:
    ValueError: no layer with such a kernel; a name that is taken; a layer of
      another kind; inputs of a layer that are not rectified, so that the deeper
      network computes something else.

  References:
    Chen, Goodfellow & Shlens, Net2Net: Accelerating Learning via Knowledge
      Transfer, 2016, arXiv 1511.05641, section 3.
  """
  if any(size % 2 == 0 for size in window):
    raise ValueError(f'window is {window}; both must be odd.')
  found = layers.layers(apply_fn, params, *inputs)
  targets = layers.only(found, list(before.values()))
  names = {path: name for name, path in before.items()}
  if len(names) < len(before):
    raise ValueError(f'{before} puts two layers before one; deepen twice.')
  seen: dict[str, Any] = {}

  def measure(layer, x, kernel):
    seen[layer.path] = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return layer(x, kernel)

  run = lambda p, *xs: layers.evaluate(
    apply_fn, p, *xs, call=measure, paths=list(targets)
  )
  jax.eval_shape(run, params, *inputs)
  deep = params
  for name, path in before.items():
    new = _identity(targets[path], seen[path], window)
    deep = _inserted(deep, name.split('/'), new, name)

  def deep_apply(deeper, *xs):
    new, rest = {}, deeper
    for name in before:
      new[name], rest = _taken(rest, name.split('/'))

    def call(layer, x, kernel):
      own = new[names[layer.path]]
      return layer(jax.nn.relu(_apply(layer, x, own)), kernel)

    return layers.evaluate(apply_fn, rest, *xs, call=call, paths=list(targets))

  expected = jax.jit(apply_fn)(params, *inputs)
  got = jax.jit(deep_apply)(deep, *inputs)
  require_equal(expected, got, tolerance, 'the network as it was', HINT)
  return deep, deep_apply


def identity_norm(
  x: Float[Array, '*batch channels'], epsilon: float = 1e-5
) -> IdentityNorm:
  """The numbers of a batch norm that gives back this batch.

  Args:
    x: what it will normalize.
    epsilon: of the norm.

  References:
    Chen et al., Net2Net, 2016, arXiv 1511.05641, section 3.
  """
  x = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
  mean, var = x.mean(0), x.var(0)
  return IdentityNorm(jnp.sqrt(var + epsilon), mean, mean, var)


def _identity(layer, x, window):
  shape, dtype, channels = x.shape, x.dtype, x.shape[-1]
  kernel = jnp.eye(channels, dtype=dtype)
  if layer.kind == 'conv' and len(shape) == 4:
    centre = tuple(size // 2 for size in window)
    whole = jnp.zeros((*window, channels, channels), dtype)
    kernel = whole.at[centre].set(kernel)
  elif layer.kind != 'dense' or layer.groups != 1:
    raise ValueError(
      f'{layer.path} is a layer of the kind {layer.kind!r} with inputs of '
      f'{len(shape)} axes; new layers come before dense ones and before '
      'convolutions of images, channels last.'
    )
  return {'kernel': kernel, 'bias': jnp.zeros(channels, dtype)}


def _apply(layer, x, new):
  if layer.kind == 'dense':
    y = x @ new['kernel']
    return y + new['bias'].reshape((1,) * (y.ndim - 1) + (-1,))
  numbers = ('NHWC', 'HWIO', 'NHWC')
  y = jax.lax.conv_general_dilated(
    x, new['kernel'], (1, 1), 'SAME', dimension_numbers=numbers
  )
  return y + new['bias'].reshape(1, 1, 1, -1)


def _inserted(params, path, layer, name):
  first, *rest = path
  if rest:
    inner = _inserted(params.get(first, {}), rest, layer, name)
    return {**params, first: inner}
  if first in params:
    raise ValueError(f'The params have {name!r} already; give another name.')
  return {**params, first: layer}


def _taken(params, path):
  first, *rest = path
  if rest:
    layer, inner = _taken(params[first], rest)
    return layer, {**params, first: inner}
  return params[first], {k: v for k, v in params.items() if k != first}
