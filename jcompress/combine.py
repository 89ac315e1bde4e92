"""Combinators: which leaves a compressor gets, and in what order they act."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.base import Compressor, identity
from jcompress.encoded import is_encoded


class Parts(NamedTuple):
  """The latent of `partition`: one latent a rule, and the untouched leaves."""

  chosen: tuple[Any, ...]
  rest: Any


def select(pattern: str, compressor: Compressor) -> Compressor:
  """Applies a compressor to the leaves whose path matches.

  Args:
    pattern: regular expression that must match the whole path of a leaf, such
      as `KERNELS = r'.*/kernel'`.
    compressor: what these leaves get. The others are trained and shipped as
      they are.

  Raises:
    ValueError: in `init`, if the pattern matches no leaf.
  """
  return partition((pattern, compressor))


def partition(*rules: tuple[str, Compressor]) -> Compressor:
  """Gives each leaf the compressor of the first rule that its path matches.

  Args:
    *rules: pairs `(pattern, compressor)`; leaves that no pattern matches are
      trained and shipped as they are.

  Raises:
    ValueError: without rules; in `init`, if a pattern matches no leaf or only
      leaves that an earlier rule took.
  """
  if not rules:
    raise ValueError('partition() needs at least one (pattern, compressor).')
  patterns = [pattern for pattern, _ in rules]
  inners = [inner for _, inner in rules]
  plain = identity()

  def init(params):
    chosen, rest = tree.split_all(patterns, params)
    pairs = [c.init(p) for c, p in zip(inners, chosen, strict=True)]
    latent = Parts(tuple(l for l, _ in pairs), plain.init(rest)[0])
    return latent, tuple(s for _, s in pairs)

  def view(latent, state):
    parts = zip(inners, latent.chosen, state, strict=True)
    return tree.join(*(c.view(l, s) for c, l, s in parts), latent.rest)

  def encode(latent, state):
    parts = zip(inners, latent.chosen, state, strict=True)
    rest = plain.encode(latent.rest, ())
    return tree.join(
      *(c.encode(l, s) for c, l, s in parts), rest, is_leaf=is_encoded
    )

  def penalty(latent, state):
    parts = zip(inners, latent.chosen, state, strict=True)
    return sum(c.penalty(l, s) for c, l, s in parts)

  def update(latent, state, grads):
    parts = zip(inners, latent.chosen, state, grads.chosen, strict=True)
    pairs = [c.update(l, s, g) for c, l, s, g in parts]
    latent = Parts(tuple(l for l, _ in pairs), latent.rest)
    return latent, tuple(s for _, s in pairs)

  return Compressor(init, view, encode, penalty, update)


def chain(first: Compressor, *rest: Compressor) -> Compressor:
  """Lets weights flow left to right: `view = last.view(... first.view(...))`.

  The first compressor owns the latent, so that only it may change the shape of
  the weights. The others see the weights that it shows and may refresh their
  state; what their `update` does to those weights is dropped. Their `update`
  gets the gradient of the latent where that has the shapes of the weights, and
  zeros where it has not. What is shipped is the encoding of the last one;
  `identity()` is dropped.

  Raises:
    ValueError: in `init`, if a compressor that is not first keeps the weights
      in another form (codebooks, factors, hash buckets).
  """
  if not rest:
    return first
  last = chain(*rest)
  if identity() in (first, last):
    return last if first == identity() else first

  def init(params):
    shown, outer = last.init(params)
    if not _same_form(shown, params):
      raise ValueError(
        'Only the first compressor of a chain may keep the weights in another '
        'form than params; move the one that does (it stands second or later) '
        'to the front, or run it as a stage of its own on the view.'
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
    if not _same_form(grads, shown):
      grads = jax.tree.map(jnp.zeros_like, shown)
    _, outer = last.update(shown, state[1], grads)
    return latent, (inner, outer)

  return Compressor(init, view, encode, penalty, update)


def _same_form(a, b):
  form = lambda t: (
    jax.tree.structure(t),
    [x.shape for x in jax.tree.leaves(t)],
  )
  return form(a) == form(b)
