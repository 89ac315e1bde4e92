"""Arrays that hold several layers, each compressed as an array of its own."""

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jcompress import encoded, tree
from jcompress.base import Compressor, Leaf, is_leaf, require_compressor
from jcompress.passing import passing

Axes = int | tuple[int, ...]


def stacked(
  compressor: Compressor, axes: Axes | Mapping[str, Axes] = 0
) -> Compressor:
  """Compresses each layer of stacked arrays as if it were an array of its own.

  A kernel of a scanned model has the shape `[layers, in, out]`, the experts of
  a mixture `[experts, in, out]`, queries, keys and values together `[in, 3,
  out]`: what ranks or scales within an array lets one layer stand for all.
  Here each has masks, scales, codebooks and keys of its own, as if the model
  had one array for each layer.

  Arrays are compressed one by one: what a method does over several of them
  (`scope='global'`, a codebook of the network), it does within each layer.

  The latent has the form of the params wherever that of a layer has. The view
  is vmapped over the layers; updates go through them in a compiled loop.

  Args:
    compressor: what each layer gets.
    axes: that count layers, `>= 0`; or by leaf path, as `stacked_axes` finds
      them, then an array that is not named is one layer.

  Raises:
    ValueError: in `init`, if an array has no such axes.

  >>> import jcompress as jc
  >>> comp = stacked(jc.magnitude_prune(0.5))
  >>> w = jnp.array([[1.0, 2.0], [30.0, 40.0]])
  >>> comp.view(*comp.init({'kernel': w}))['kernel']
  Array([[ 0.,  2.],
         [ 0., 40.]], dtype=float32)
  """
  require_compressor(compressor, 'stacked()')

  def stacks(t, is_leaf=None):
    """How each array of a tree is stacked."""
    outer = jax.tree.structure(t, is_leaf=is_leaf)
    names, leaves = tree.paths(t, is_leaf), jax.tree.leaves(t, is_leaf=is_leaf)
    by_path = isinstance(axes, Mapping)
    along = [axes.get(n, ()) if by_path else axes for n in names]
    return outer, [
      _stack(outer, place, a, name, leaf)
      for place, (a, name, leaf) in enumerate(
        zip(along, names, leaves, strict=True)
      )
    ]

  def init(params):
    outer, found = stacks(params)
    numbers = itertools.count()
    latents, states = [], []
    for stack, w in zip(found, jax.tree.leaves(params), strict=True):
      layers = stack.load(w)
      pairs = [
        _numbered(compressor.init(_layer(layers, i)), next(numbers))
        for i in range(stack.count)
      ]
      latent, state = _joined(pairs or [compressor.init(_zero(layers))])
      if not pairs:  # as many latents, of the form of that of a layer
        latent, state = jax.tree.map(lambda x: x[:0], (latent, state))
      is_plain = tree.form(latent) == tree.form(layers)
      latents.append(stack.store(latent, is_plain))
      states.append(_split(state, stack.sizes))
    return outer.unflatten(latents), outer.unflatten(states)

  def columns(latent, *others):
    """For each array its stack, and of each tree its layers."""
    outer, found = stacks(latent, is_leaf)
    flat = [outer.flatten_up_to(t) for t in (latent, *others)]
    for stack, own, state, *grads in zip(found, *flat, strict=True):
      grads = [stack.load(x) for x in grads]
      states = _merged(state, stack.axes)
      yield stack, own, [stack.load(own), states, *grads]

  def show(stack, layers):
    (x,) = jax.tree.leaves(jax.vmap(compressor.view)(*layers))
    return stack.together(x)

  def view(latent, state):
    outer = jax.tree.structure(latent, is_leaf=is_leaf)
    parts = columns(latent, state)
    return outer.unflatten(show(stack, layers) for stack, _, layers in parts)

  def encode(latent, state):
    shipped: list[Any] = []
    for stack, _, layers in columns(latent, state):
      ones = [compressor.encode(*_layer(layers, i)) for i in range(stack.count)]
      parts = jax.tree.leaves(ones, is_leaf=encoded.is_encoded)
      shipped.append(
        encoded.Stacked(tuple(parts), stack.axes, stack.sizes)
        if parts
        else encoded.Dense(show(stack, layers))
      )
    return jax.tree.structure(latent, is_leaf=is_leaf).unflatten(shipped)

  def penalty(latent, state):
    each = lambda l, s: jnp.asarray(compressor.penalty(l, s), jnp.float32)
    parts = columns(latent, state)
    return sum(jax.vmap(each)(*layers).sum() for _, _, layers in parts)

  def update(latent, state, grads):
    latents, states = [], []
    for stack, own, layers in columns(latent, state, grads):
      new, after = jax.lax.map(lambda x: compressor.update(*x), tuple(layers))
      latents.append(stack.store(new, not is_leaf(own)))
      states.append(_split(after, stack.sizes))
    outer = jax.tree.structure(latent, is_leaf=is_leaf)
    return outer.unflatten(latents), outer.unflatten(states)

  return passing(Compressor(init, view, encode, penalty, update))


class _Stack(NamedTuple):
  """How one array of a tree is stacked."""

  outer: Any  # structure of the tree
  place: int  # of the array in it
  axes: tuple[int, ...]
  sizes: tuple[int, ...]

  @property
  def count(self):
    return math.prod(self.sizes)

  def load(self, x):
    """A tree with this array alone, its layers along one first axis."""
    if is_leaf(x):
      return _merged(x.value, self.axes)
    x = _merged(jnp.moveaxis(x, self.axes, range(len(self.axes))), self.axes)
    places = range(self.outer.num_leaves)
    return self.outer.unflatten(x if i == self.place else None for i in places)

  def store(self, layers, is_plain):
    """Inverts `load`; a latent of another form than the array is a `Leaf`."""
    if not is_plain:
      return Leaf(_split(layers, self.sizes))
    (x,) = jax.tree.leaves(layers)
    return self.together(x)

  def together(self, x):
    return jnp.moveaxis(_split(x, self.sizes), range(len(self.axes)), self.axes)


def _stack(outer, place, axes, path, x):
  axes = tuple(sorted((axes,) if isinstance(axes, int) else axes))
  if is_leaf(x):
    sizes = jax.tree.leaves(x)[0].shape[: len(axes)]
    return _Stack(outer, place, axes, sizes)
  if any(not 0 <= a < x.ndim for a in axes) or len(set(axes)) < len(axes):
    raise ValueError(
      f'{path} of shape {list(x.shape)} has no axes {axes} that count layers; '
      f'they must be different and lie in 0 .. {x.ndim - 1}.'
    )
  sizes = tuple(x.shape[a] for a in axes)
  return _Stack(outer, place, axes, sizes)


def _numbered(pair, number):
  """A latent and a state with keys that no other layer has."""
  fold = lambda key: jax.random.fold_in(key, number)

  def own(x):
    if not tree.is_key(x):
      return x
    return jax.vmap(fold)(x.reshape(-1)).reshape(x.shape)

  return jax.tree.map(own, pair)


def _layer(layers, i):
  return jax.tree.map(lambda x: x[i], layers)


def _zero(layers):
  return jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), layers)


def _joined(trees):
  return jax.tree.map(lambda *xs: jnp.stack(xs), *trees)


def _merged(layers, axes):
  """The first axes of each array, as many as those that are given, as one."""
  n = len(axes)

  def merge(x):
    x = tree.replicated(x, range(n))
    return x.reshape(math.prod(x.shape[:n]), *x.shape[n:])

  return jax.tree.map(merge, layers)


def _split(layers, sizes):
  """Inverts `_merged`."""
  return jax.tree.map(lambda x: x.reshape(*sizes, *x.shape[1:]), layers)
