"""Combinators: which leaves a compressor gets, and in what order they act."""

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.base import Compressor, Parts, is_leaf, passing
from jcompress.encoded import Dense, is_encoded


def identity() -> Compressor:
  """The params as they are: the dense baseline, and the unit of `chain`.

  It computes nothing, so that NaN and inf are shipped like any other number.
  """
  return _IDENTITY


_IDENTITY = passing(
  Compressor(
    init=lambda params: (params, ()),
    view=lambda latent, state: latent,
    encode=lambda latent, state: jax.tree.map(Dense, latent),
  )
)


def select(pattern: str, compressor: Compressor) -> Compressor:
  """Applies a compressor to the leaves whose path matches.

  Args:
    pattern: regular expression that must match the whole path of a leaf, such
      as `KERNELS = r'(?:.*/)?kernel'`.
    compressor: what these leaves get. The others are trained and shipped as
      they are.

  Raises:
    ValueError: in `init`, if the pattern matches no leaf.
  """
  return partition((pattern, compressor))


def partition(*rules: tuple[str, Compressor]) -> Compressor:
  """Gives each leaf the compressor of the first rule that its path matches.

  The latent has the containers and paths of the params, and in the place of
  each leaf its latent, so that masks and labels for the optimizer may be made
  as for params: `optax.adamw(..., mask=tree)` decays what it always did. Only
  where one latent stands for several leaves, as a codebook of the network does,
  it is a `Parts`, with these latents beside the other leaves.

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
    plain_latent, plain_state = plain.init(rest)
    latents = [l for l, _ in pairs]
    is_shared = [
      not _is_leafwise(l, p) for l, p in zip(latents, chosen, strict=True)
    ]
    latent = _put_together(latents, plain_latent, is_shared)
    return latent, (*(s for _, s in pairs), plain_state)

  def each(latent):
    """Each rule with its latent, the last for the leaves without a rule."""
    return zip((*inners, plain), _take_apart(patterns, latent), strict=True)

  def view(latent, state):
    latent, state = tree.pure((latent, state), 'OptState')
    parts = zip(each(latent), state, strict=True)
    return tree.join(*(c.view(l, s) for (c, l), s in parts))

  def encode(latent, state):
    latent, state = tree.pure((latent, state), 'OptState')
    parts = zip(each(latent), state, strict=True)
    return tree.join(
      *(c.encode(l, s) for (c, l), s in parts), is_leaf=is_encoded
    )

  def penalty(latent, state):
    parts = zip(each(latent), state, strict=True)
    return sum(c.penalty(l, s) for (c, l), s in parts)

  def update(latent, state, grads):
    parts = zip(each(latent), state, _take_apart(patterns, grads), strict=True)
    *pairs, (rest, plain_state) = [c.update(l, s, g) for (c, l), s, g in parts]
    latents, states = [l for l, _ in pairs], [s for _, s in pairs]
    is_shared = [False] * len(pairs)
    if isinstance(latent, Parts):
      is_shared = [x is not None for x in latent.shared]
    return _put_together(latents, rest, is_shared), (*states, plain_state)

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
    if _form(shown) != _form(tree.split_floats(params)[0]):
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
    if _form(grads) != _form(tree.split_floats(shown)[0]):
      grads = jax.tree.map(jnp.zeros_like, shown)
    _, outer = last.update(shown, state[1], grads)
    return latent, (inner, outer)

  return Compressor(init, view, encode, penalty, update)


def _is_leafwise(latent, params):
  """Whether each leaf of the params has a latent in its place."""
  floats = jax.tree.structure(tree.split_floats(params)[0])
  return jax.tree.structure(latent, is_leaf=is_leaf) == floats


def _put_together(latents, rest, is_shared):
  """A tree like the params; `Parts` where a latent is of several leaves."""
  pairs = list(zip(latents, is_shared, strict=True))
  placed = [latent for latent, shared in pairs if not shared]
  leaves = tree.join(rest, *placed, is_leaf=is_leaf)
  if not any(is_shared):
    return leaves
  return Parts(leaves, tuple(l if shared else None for l, shared in pairs))


def _take_apart(patterns, latent):
  """Inverts `_put_together`: a latent for each pattern, then the rest."""
  leaves = latent.leaves if isinstance(latent, Parts) else latent
  parts, rest = tree.deal(patterns, leaves, is_leaf)
  if isinstance(latent, Parts):
    pairs = zip(latent.shared, parts, strict=True)
    parts = [part if own is None else own for own, part in pairs]
  return [*parts, rest]


def _form(t):
  return jax.tree.structure(t), [x.shape for x in jax.tree.leaves(t)]


def _differing(latent, params):
  """The paths of the params whose latent is not one array of their shape."""
  leaves = latent.leaves if isinstance(latent, Parts) else latent
  named = lambda t, stop=None: zip(
    tree.paths(t, stop), jax.tree.leaves(t, is_leaf=stop), strict=True
  )
  have = {path: getattr(x, 'shape', None) for path, x in named(leaves, is_leaf)}
  floats = tree.split_floats(params)[0]
  return ', '.join(p for p, x in named(floats) if have.get(p) != x.shape)
