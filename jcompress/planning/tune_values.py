"""Trains the few floats beside the codes, by what the network computed."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jcompress import losses, tree
from jcompress.encoded import decode, encoded_leaves, is_encoded
from jcompress.numerics.estimators import straight_through
from jcompress.numerics.wide import wide

# As many numbers, of so few values, are coded as letters in a file.
_MANY, _ALIKE = 4096, 16


class _Number(NamedTuple):
  """An array that is tuned: `start + unit * latent` where it is free."""

  start: jax.Array
  unit: jax.Array  # the root mean square of what is not zero
  free: jax.Array  # bool

  def value(self, latent: jax.Array) -> jax.Array:
    """The numbers as the file will hold them, in at least float32."""
    start = wide(self.start)
    moved = jnp.where(self.free, start + self.unit * latent, start)
    return straight_through(wide(moved.astype(self.start.dtype)), moved)


def tune_values(
  apply: Callable[[Any, Any], Any],
  encoded: Any,
  params: Any,
  batches: Iterable[Any],
  *,
  steps: int = 200,
  learning_rate: float = 1e-3,
  loss: Callable[[Any, Any], jax.Array] = losses.relative_error,
) -> Any:
  """Trains what an encoded network has beside its codes, without labels.

  The codes stay as they are, and so does the size of the file but for a few
  bytes. The floats beside them move until the network computes on some inputs
  what the original does: centers of codebooks, scales of grids and blocks,
  zeros between two codes, factors, biases, norms. What is zero stays zero, but
  for an array of nothing else that is shipped as it is; floats of one byte, of
  more bits than JAX holds, and thousands with few values among them stay, too.

      small = jc.compress(params, bits=3)
      small = jc.tune_values(apply, small, params, batches, steps=300)

  Adam takes the steps, each number in units of the root mean square of its
  array; the rate falls to zero along half a cosine. Each step runs the original
  once, and the network of the file forth and back.

  Args:
    apply: `(params, batch) -> outputs`, an array or a tree of them: states
      within a network tell more about its weights than the last output alone.
    encoded: what is to be tuned, such as of `compress`.
    params: the original.
    batches: of inputs, as `apply` takes them: a list, over which it goes again
      and again, or an iterator, which may have no end. One array `x` is `[x]`.
    steps: of Adam, one batch each, `>= 1`.
    learning_rate: of the first step, positive.
    loss: `(outputs, those of the original) -> scalar`, least where they agree.

  Returns:
    The tree with its floats changed, in the dtypes that they had.

  Raises:
    ValueError: params that the encoded tree is not of; nothing to tune; no
      batches, or an iterator that ends too soon; an argument out of range; a
      loss that is no scalar; numbers that came out as NaN or inf.

  References:
    Han et al., Deep Compression, 2016, arXiv 1510.00149, section 3: shared
      weights are tuned by the sums of the gradients of their members.
    Hinton et al., Distilling the Knowledge in a Neural Network, 2015, arXiv
      1503.02531: the original as a teacher.
  """
  if steps < 1 or not 0 < learning_rate < math.inf:
    raise ValueError(
      f'steps is {steps}, learning_rate {learning_rate}: there must be a step, '
      'and a rate that is positive.'
    )
  is_one = isinstance(batches, Mapping) or hasattr(batches, '_fields')
  if is_one or hasattr(batches, 'shape') or not isinstance(batches, Iterable):
    raise ValueError(
      f'batches is a {type(batches).__name__}; give a list of inputs of apply, '
      '[inputs] for all at once.'
    )
  _require_like(encoded, params)
  numbers, places = _numbers(encoded)
  show, others = _network(encoded, places)
  latent = [jnp.zeros_like(wide(n.start)) for n in numbers]
  tx = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
  step, opt_state = _step(apply, loss, tx, show), tx.init(latent)
  for batch in _repeated(batches, steps):
    latent, opt_state = step(latent, opt_state, numbers, others, params, batch)
  if not all(bool(jnp.isfinite(u).all()) for u in latent):
    raise ValueError(
      'Numbers came out as NaN or inf: take a smaller learning_rate than '
      f'{learning_rate}, or look at the outputs of apply.'
    )
  pairs = zip(numbers, latent, strict=True)
  tuned = [n.value(u).astype(n.start.dtype) for n, u in pairs]
  swap = lambda x: tuned[places[id(x)]] if id(x) in places else x
  return jax.tree.map(swap, encoded)


def _step(apply, loss, tx, show):
  """A jitted step of what moves the numbers."""

  def objective(latent, numbers, others, params, batch):
    pairs = zip(numbers, latent, strict=True)
    now = show([n.value(u) for n, u in pairs], others, params)
    found = jnp.asarray(loss(apply(now, batch), apply(params, batch)))
    if found.shape:
      raise ValueError(
        f'The loss has shape {list(found.shape)}; reduce it to a scalar, for '
        'example by its mean.'
      )
    return found

  def step(latent, opt_state, *given):
    grads = jax.grad(objective)(latent, *given)
    updates, opt_state = tx.update(grads, opt_state, latent)
    return optax.apply_updates(latent, updates), opt_state

  return jax.jit(step, donate_argnums=(0, 1))


def _numbers(encoded):
  """The arrays that are tuned, each once, and their places by identity."""
  numbers, places = [], {}
  for leaf in jax.tree.leaves(encoded, is_leaf=is_encoded):
    for path, x in jax.tree_util.tree_leaves_with_path(leaf):
      field = getattr(path[-1], 'name', '') if path else 'values'
      if id(x) in places or not _has_values(x):
        continue
      fixed = _fixed(tree.to_host(x), field)
      if not fixed.all():
        places[id(x)] = len(numbers)
        numbers.append(_number(jnp.asarray(x), jnp.asarray(~fixed)))
  if not numbers:
    kinds = {type(x).__name__ for x in encoded_leaves(encoded)}
    raise ValueError(
      f'Nothing to tune: leaves of kinds {", ".join(sorted(kinds))} without '
      'floats of two bytes or more that are not zero.'
    )
  return numbers, places


def _has_values(x):
  """Whether an array is of floats; those of one byte are letters of a code."""
  if not tree.is_float(x) or x.dtype.itemsize == 1:
    return False
  return jax.dtypes.canonicalize_dtype(x.dtype) == x.dtype


def _fixed(x, field):
  """Which entries stay as they are: NaN, inf and zeros, all of few letters."""
  x = x.astype(np.float64)
  if x.size >= _MANY and len(np.unique(x)) <= x.size // _ALIKE:
    return np.ones(x.shape, bool)
  zero = x == np.rint(x) if field == 'zero' else x == 0  # a code that means 0
  if field == 'values' and zero.all():
    zero = np.zeros_like(zero)
  return zero | ~np.isfinite(x)


def _number(start, free):
  kept = jnp.where(free, wide(start), 0)
  count = jnp.sum(kept != 0, dtype=kept.dtype)
  unit = jnp.where(count > 0, jnp.sum(kept**2) / jnp.maximum(count, 1), 1)
  return _Number(start, unit**0.5, free)


def _network(encoded, places):
  """How to decode the network from its numbers, and the arrays beside them."""
  is_tuned = lambda leaf: any(id(x) in places for x in jax.tree.leaves(leaf))
  decoded = lambda x: x.decode() if is_encoded(x) else x
  known = lambda leaf: leaf if is_tuned(leaf) else decoded(leaf)
  mixed = jax.tree.map(known, encoded, is_leaf=is_encoded)
  arrays, form = jax.tree.flatten(mixed)
  slots = [places.get(id(x)) for x in arrays]
  others = [x for x, i in zip(arrays, slots, strict=True) if i is None]

  def show(values, others, params):
    rest = iter(others)
    filled = form.unflatten(
      next(rest) if i is None else values[i] for i in slots
    )
    shown = jax.tree.leaves(jax.tree.map(decoded, filled, is_leaf=is_encoded))
    # The numbers are in float32 at least, and the network in its own dtypes.
    cast = lambda w, x: x.astype(w.dtype) if tree.is_float(w) else x
    return jax.tree.map(cast, params, tree.like(shown, params))

  return show, others


def _repeated(batches, steps):
  """As many batches as there are steps, from the first again after the last."""
  taken = 0
  while taken < steps:
    before = taken
    for batch in itertools.islice(batches, steps - taken):
      taken += 1
      yield batch
    if taken == before:
      raise ValueError(
        f'There are no batches after {taken} of {steps} steps: give a list, '
        'over which it goes again and again, or an iterator that goes on.'
      )


def _require_like(encoded, params):
  """Raises a `ValueError` unless the encoded tree decodes to such params."""
  shapes = lambda t: {p: x.shape for p, x in tree.by_name(t).items()}
  have, wanted = shapes(jax.eval_shape(decode, encoded)), shapes(params)
  wrong = [p for p in have | wanted if have.get(p) != wanted.get(p)]
  if wrong:
    path = wrong[0]
    raise ValueError(
      f'The encoded tree is not of these params: {path} is '
      f'{have.get(path, "missing")} in it and {wanted.get(path, "missing")} in '
      'them. Give the params that were encoded.'
    )
