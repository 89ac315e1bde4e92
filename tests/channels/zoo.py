"""Small architectures with the channel groups that they must have.

Each member is a `Net`. Its `groups` were worked out by hand, one line a group:
the number of units, then each axis of a leaf of which they own an index, with
how many they own if more than one. `5 k:3 b:0 w:0*16` is a convolution in front
of a flatten and a dense layer.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcompress import tree


@dataclasses.dataclass(frozen=True)
class Net:
  """One architecture.

  Attributes:
    apply: `(params, *inputs) -> outputs`.
    params: NumPy arrays, so that cutting them compiles nothing.
    inputs: of `apply`.
    groups: as above; of linen paths `params/` is left out.
    adapts: the function runs on smaller params as it is, and means the same: a
      further oracle, independent of all labels.
    options: of `channel_groups`.
    frozen: words of the reasons why axes cannot change.
    unknown: operations without a rule.
    noted: whether a group has a note; `None` to leave that open.
  """

  apply: Callable[..., Any]
  params: Any
  inputs: tuple[Any, ...]
  groups: tuple[str, ...]
  adapts: bool = False
  options: dict[str, Any] = dataclasses.field(default_factory=dict)
  frozen: dict[str, str] = dataclasses.field(default_factory=dict)
  unknown: tuple[str, ...] = ()
  noted: bool | None = None


def normal(*shape, seed=1):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def weights(**shapes):
  return random_like({k: np.zeros(s, np.float32) for k, s in shapes.items()})


def random_like(params):
  """Random floats everywhere, positive variances: nothing is 0 by accident."""
  rng = np.random.default_rng(0)

  def draw(path, x):
    if not jnp.issubdtype(x.dtype, jnp.floating):
      return np.asarray(x)
    values = rng.normal(size=x.shape) * 0.5
    is_variance = tree.path_string(path).endswith('var')
    return np.asarray(np.abs(values) + 0.5 if is_variance else values, x.dtype)

  return jax.tree_util.tree_map_with_path(draw, params)


def plain(apply, params, inputs, *groups, adapts=True, **rest):
  return Net(apply, params, inputs, groups, adapts=adapts, **rest)


def linen(module, inputs, *groups, mutable=None, **rest):
  shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
  apply = lambda v, *xs: module.apply(v, *xs, mutable=mutable or False)
  return Net(apply, random_like(shapes), inputs, groups, **rest)


def stateful(make, inputs, *groups, **rest):
  """Of an nnx module."""
  graphdef, state = nnx.split(make(nnx.Rngs(0)))
  apply = lambda s, *xs: nnx.merge(graphdef, s)(*xs)
  return Net(apply, random_like(state), inputs, groups, **rest)


def conv(x, kernel, groups=1, stride=1):
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    'SAME',
    feature_group_count=groups,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def parse(line):
  """`'5 k:3 w:0*16'` as `(5, {'k:3': 1, 'w:0': 16})`."""
  size, *places = line.split()
  counts = (place.partition('*') for place in places)
  return int(size), {place: int(n or 1) for place, _, n in counts}


def short(place):
  path, axis = place
  return f'{path.removeprefix("params/")}:{axis}'
