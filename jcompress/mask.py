"""Training under a mask that was found elsewhere."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Shaped

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import Sparse
from jcompress.passing import checked


def with_mask(mask: Any, *, keep_zeros: bool = False) -> Compressor:
  """Trains under a fixed mask: `view = w * mask`.

  The way into the algebra for one-shot methods (OBD, OBS, lottery tickets),
  which give a mask. Weights that are zero at `init` stay zero, too.

  Args:
    mask: tree of boolean arrays with the leaf paths and shapes of the params
      that this compressor gets. Under `select(pattern, ...)` those are the
      leaves that match: `tree.split(pattern, masks)[0]`.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains, where the mask lets it.

  Raises:
    ValueError: in `init`, if paths, shapes or dtypes do not fit.
  """

  def init(params):
    require_masks_fit(mask, params)
    live = [
      jnp.asarray(m) & live_weights(w, keep_zeros)
      for m, w in zip(
        jax.tree.leaves(mask), jax.tree.leaves(params), strict=True
      )
    ]
    return params, jax.tree.structure(params).unflatten(live)

  return checked(Compressor(init, apply_mask, encode_sparse))


def live_weights(
  w: Shaped[Array, '*shape'], keep_zeros: bool = False
) -> Bool[Array, '*shape']:
  """Which weights of an array may move.

  The zeros of a pruned array are information, and stay. An array with nothing
  but zeros was initialized so (the last layer of a residual branch, one factor
  of a low-rank adapter, a bias), and all of it may move, unless `keep_zeros`.

  >>> live_weights(jnp.array([0.0, 2.0])), live_weights(jnp.zeros(2))
  (Array([False,  True], dtype=bool), Array([ True,  True], dtype=bool))
  """
  live = w != 0
  return live if keep_zeros else live | ~jnp.any(live)


def apply_mask(w: Any, mask: Any) -> Any:
  """Zeros outside the mask, leaf by leaf; exact also for infinite weights."""
  return jax.tree.map(
    lambda x, m: jnp.where(m, x, jnp.zeros([], x.dtype)), w, mask
  )


def encode_sparse(w: Any, mask: Any) -> Any:
  """Encodes masked arrays as `Sparse` leaves."""
  return jax.tree.map(Sparse, apply_mask(w, mask), mask)


def require_masks_fit(mask: Any, params: Any) -> None:
  """Raises a `ValueError` unless `mask` has a boolean array for each param."""
  have, want = tree.paths(mask), tree.paths(params)
  if have != want:
    raise ValueError(
      f'The mask has the leaves {have}, the params have {want}. Give one mask '
      'a leaf; under select(pattern, ...) only for leaves that match.'
    )
  pairs = zip(jax.tree.leaves(mask), jax.tree.leaves(params), strict=True)
  for path, (m, w) in zip(want, pairs, strict=True):
    m = jnp.asarray(m)
    if m.dtype != bool or m.shape != w.shape:
      raise ValueError(
        f'The mask of {path} is {m.dtype}{list(m.shape)}; it must be '
        f'bool{list(w.shape)}, true where the weight is kept.'
      )
