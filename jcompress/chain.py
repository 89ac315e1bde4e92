"""Several compressors of the same weights, one after the other."""

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.base import Compressor, Parts, is_leaf, require_compressor
from jcompress.combine import identity


def chain(first: Compressor, *rest: Compressor) -> Compressor:
  """Lets weights flow left to right: `view = last.view(... first.view(...))`.

  The first compressor owns the latent, so that only it may change the shape of
  the weights. The others see the weights that it shows and may refresh their
  state; what their `update` does to those weights is dropped. Their `update`
  gets the gradient of the latent where that has the shapes of the weights, and
  zeros where it has not. What is shipped is the encoding of the last one;
  `identity()` is dropped.

  Raises:
    ValueError: something that is no compressor; in `init`, if a compressor that
      is not first keeps the weights in another form (codebooks, factors, hash
      buckets).
  """
  require_compressor(first, 'chain()')
  if not rest:
    return first
  last = chain(*rest)
  if identity() in (first, last):
    return last if first == identity() else first

  def init(params):
    shown, outer = last.init(params)
    if tree.form(shown) != tree.form(tree.split_floats(params)[0]):
      raise ValueError(
        'Only the first compressor of a chain may keep the weights in another '
        f'form than params, and {_differing(shown, params)} are kept so by one '
        'that stands second or later: move it to the front, or run it as a '
        'stage of its own on the view.'
      )
    latent, inner = first.init(shown)
    return latent, (inner, outer)

  def view(latent, state):
    return last.view(first.view(latent, state[0]), state[1])

  def encode(latent, state):
    return last.encode(first.view(latent, state[0]), state[1])

  def penalty(latent, state):
    shown = first.view(latent, state[0])
    return first.penalty(latent, state[0]) + last.penalty(shown, state[1])

  def update(latent, state, grads):
    latent, inner = first.update(latent, state[0], grads)
    shown = first.view(latent, inner)
    if tree.form(grads) != tree.form(tree.split_floats(shown)[0]):
      grads = jax.tree.map(jnp.zeros_like, shown)
    _, outer = last.update(shown, state[1], grads)
    return latent, (inner, outer)

  return Compressor(init, view, encode, penalty, update)


def _differing(latent, params):
  """The paths of the params whose latent is not one array of their shape."""
  leaves = latent.leaves if isinstance(latent, Parts) else latent
  named = lambda t, stop=None: zip(
    tree.paths(t, stop), jax.tree.leaves(t, is_leaf=stop), strict=True
  )
  have = {path: getattr(x, 'shape', None) for path, x in named(leaves, is_leaf)}
  floats = tree.split_floats(params)[0]
  return ', '.join(p for p, x in named(floats) if have.get(p) != x.shape)
