"""Training under a mask that was found elsewhere."""

from typing import Any

import jax
import jax.numpy as jnp

from jcompress import tree
from jcompress.base import Compressor, checked
from jcompress.encoded import Sparse


def with_mask(mask: Any) -> Compressor:
  """Trains under a fixed mask: `view = w * mask`.

  The way into the algebra for one-shot methods (OBD, OBS, lottery tickets),
  which give a mask. Weights that are zero at `init` stay zero, too.

  Args:
    mask: tree of boolean arrays with the leaf paths and shapes of the params
      that this compressor gets. Under `select(pattern, ...)` those are the
      leaves that match: `tree.split(pattern, masks)[0]`.

  Raises:
    ValueError: in `init`, if paths, shapes or dtypes do not fit.
  """

  def init(params):
    require_masks_fit(mask, params)
    live = [
      jnp.asarray(m) & (w != 0)
      for m, w in zip(
        jax.tree.leaves(mask), jax.tree.leaves(params), strict=True
      )
    ]
    return params, jax.tree.structure(params).unflatten(live)

  return checked(Compressor(init, apply_mask, encode_sparse))


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
