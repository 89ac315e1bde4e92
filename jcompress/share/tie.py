"""Filters tied to each other: one is trained, its transforms follow."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress import encoded, tree
from jcompress.base import Compressor, require_compressor
from jcompress.binarize.latent import require_choice
from jcompress.combine import identity
from jcompress.encoded import Tied
from jcompress.numerics import orbits
from jcompress.numerics.whole import require_whole
from jcompress.passing import checked


class TieState(NamedTuple):
  base: Any  # the state of what the bases get
  alone: Any  # of the params: an array where the last filter has no opposite


def tie(
  kind: str,
  compressor: Compressor | None = None,
  *,
  inputs: bool = False,
  copies: int = 4,
  shifts: int = 2,
  scratch: bool = False,
) -> Compressor:
  """Trains base filters of which the filters of each kernel are transforms.

  The latent is the base kernel, the view `E base` with a linear map `E`, so
  that the gradient of a number is the sum over its copies; what is shipped has
  each number once. The model keeps its kernels in their sizes, and the copies
  lie along the outputs: `copy * filters + filter`.

  * `'negation'`: a filter and its opposite. Behind a rectifier that is
    `ops.crelu` of half of the filters. Biases are tied so, too.
  * `'p4'`, `'p4m'`: a filter turned by quarters, and mirrored. In the first
    layer the inputs are channels; in those behind it (`inputs=True`) they are
    the outputs of such a layer, which turn and move along. Then turning the
    image turns the outputs and moves each to the next copy, if all norms,
    scales and biases have one value for all copies (`'repeat'`, and
    `models.OrbitNorm`), and sizes are odd where there are strides.
  * `'translation'`: all windows of a larger filter, `shifts` along each axis:
    doubly convolutional.
  * `'repeat'`: a number, `copies` times: scales and biases of the above.

  A tree of one network has a tie for each kind of leaf:

      partition(
        ('conv1/kernel', tie('p4')),
        ('conv.*/kernel', tie('p4', inputs=True)),
        ('.*/(bias|scale)', tie('repeat', copies=4)),
      )

  `init` takes the nearest base, the mean over the copies. A number of the view
  is zero if and only if that of its base is: zeros of a kernel stay where all
  copies are zero.

  Behind it in a `chain` stands what works on kernels of full size, and is
  shipped so. To prune or quantize what is trained, and ship that, give a
  compressor of the bases: `tie('p4', magnitude_prune(0.8))`.

  Args:
    kind: see above.
    compressor: what the bases get. Default: `identity()`.
    inputs: of `'p4'` and `'p4m'`.
    copies: of `'repeat'`, `1 .. 1024`: 4 behind `'p4'`, 8 behind `'p4m'`, the
      square of `shifts` behind `'translation'`.
    shifts: of `'translation'`, `1 .. 32`; the large filter has `shifts - 1`
      more rows and columns.
    scratch: multiplies the base by the root of the number of copies: the mean
      of independent copies has a smaller variance, which this restores.

  Raises:
    ValueError: an argument out of range; in `init`, an array that is no such
      kernel, or whose outputs are not a multiple of the copies.

  >>> comp = tie('negation')
  >>> latent, state = comp.init(jnp.array([[1.0, 2.0, -3.0, -2.0]]))
  >>> latent.tolist(), comp.view(latent, state).tolist()
  ([[2.0, 2.0]], [[2.0, 2.0, -2.0, -2.0]])

  References:
    Shang et al., Understanding and Improving Convolutional Neural Networks via
    Concatenated Rectified Linear Units, 2016, arXiv 1603.05201.
    Cohen and Welling, Group Equivariant Convolutional Networks, 2016, arXiv
    1602.07576.
    Zhai et al., Doubly Convolutional Neural Networks, 2016, arXiv 1610.09716.
  """
  require_choice('kind', kind, orbits.KINDS)
  require_whole('copies', copies, 1, orbits.MOST)
  require_whole('shifts', shifts, 1, 32)
  if inputs and kind not in orbits.GROUPS:
    raise ValueError(f'inputs=True is of the groups, not of {kind!r}.')
  inner = identity() if compressor is None else compressor
  require_compressor(inner, 'tie()')
  number = {'negation': 2, 'repeat': copies, 'translation': shifts**2}
  count = (number | orbits.GROUPS)[kind]
  more = shifts - 1 if kind == 'translation' else 0

  def base_shape(path, shape):
    if not shape or shape[-1] % count and kind != 'negation':
      raise ValueError(
        f'{path or "The array"} of shape {shape} has outputs that are not '
        f'{count} copies of filters, as tie({kind!r}) needs. Give the layer a '
        f'multiple of {count}, or select other leaves.'
      )
    window = tuple(n + more for n in shape[:2]) if more else shape[:2]
    base = (*window, *shape[2:])[:-1] + (-(-shape[-1] // count),)
    try:
      orbits.require_fit(base, kind, shape, inputs)
    except ValueError as error:
      raise ValueError(f'{path or "The array"}: {error}') from error
    return base

  def project(path, w):
    shape = base_shape(tree.path_string(path), w.shape)
    base, copied = orbits.project(tree.replicated(w), kind, shape, inputs)
    if scratch:
      base = base * jnp.sqrt(copied)
    return base.astype(w.dtype)

  def shape_of(base, alone):
    window = tuple(n - more for n in base[:2]) if more else base[:2]
    outputs = base[-1] * count - (alone is not None)
    return (*window, *base[2:])[: len(base) - 1] + (outputs,)

  def each(function, bases, alone, is_leaf=None):
    """Of each base with its shape when expanded."""
    leaves, outer = jax.tree.flatten(bases, is_leaf=is_leaf)
    pairs = zip(leaves, outer.flatten_up_to(alone), strict=True)
    return outer.unflatten(function(x, a) for x, a in pairs)

  def init(params):
    is_odd = lambda w: kind == 'negation' and w.shape[-1] % 2
    bases = jax.tree_util.tree_map_with_path(project, params)
    latent, state = inner.init(bases)
    alone = jax.tree.map(
      lambda w: jnp.ones(1, bool) if is_odd(w) else None, params
    )
    return latent, TieState(state, alone)

  def view(latent, state):
    def one(base, alone):
      shape = shape_of(base.shape, alone)
      return orbits.expand(tree.replicated(base), kind, shape, inputs)

    return each(one, inner.view(latent, state.base), state.alone)

  def encode(latent, state):
    def one(part, alone):
      base = jax.eval_shape(lambda x: x.decode(), part)
      return Tied(part, kind, shape_of(base.shape, alone), inputs)

    parts = inner.encode(latent, state.base)
    return each(one, parts, state.alone, encoded.is_encoded)

  def penalty(latent, state):
    return inner.penalty(latent, state.base)

  def update(latent, state, grads):
    latent, base = inner.update(latent, state.base, grads)
    return latent, state._replace(base=base)

  return checked(Compressor(init, view, encode, penalty, update))
