"""One codebook for all the arrays that a compressor is given.

The latent is that codebook, in float32. Each array looks its weights up in it,
so that the gradient of a center is summed over the members in all arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import Codebook
from jcompress.passing import checked
from jcompress.quantize import share
from jcompress.quantize.importance import (
  live_importance,
  require_importance_fits,
)


class CodebookState(NamedTuple):
  """Which weights of which array share a value."""

  shares: Any  # tree of ShareState
  zeros: Any  # tree of scalars: a zero of the dtype of each weight
  used: jax.Array  # how many centers have members, the first ones, int32


def one_codebook(
  cluster: Callable[..., Any], k: int | None, importance: Any
) -> Compressor:
  """Lets the weights of all arrays share values; exact zeros stay zero.

  Args:
    cluster: `(w [n], h [n] or None) -> (centers, codes [n])`, at most `k`.
    k: size of the latent; `None` for that of what `cluster` gives.
    importance: tree of arrays, or `None`.
  """

  def group(params, importance):
    leaves, treedef = jax.tree.flatten(params)
    live = [w != 0 for w in leaves]
    parts = [w[m].astype(np.float32) for w, m in zip(leaves, live, strict=True)]
    w = np.concatenate([np.zeros(0, np.float32), *parts])
    h = None if importance is None else live_importance(importance, live)
    centers, codes = cluster(w, h) if w.size else (w, np.zeros(0, np.uint8))
    size = k or max(1, centers.size)
    used = int(codes.max()) + 1 if codes.size else 0
    table = np.zeros(size, np.float32)
    table[:used] = centers[:used]
    shares, ends = [], np.cumsum([part.size for part in parts], dtype=int)
    for mask, mine in zip(live, np.split(codes, ends)[:-1], strict=True):
      all_codes = np.zeros(mask.shape, share.code_dtype(size))
      all_codes[mask] = mine.astype(all_codes.dtype) + all_codes.dtype.type(1)
      shares.append(share.group_by_code(all_codes, size))
    return table, treedef.unflatten(shares), np.int32(used)

  def init(params):
    weights = importance
    if importance is not None:
      require_importance_fits(importance, params)
      weights = jax.tree.map(tree.to_host, importance)

    def forms():
      if k is None:
        raise ValueError(
          'The number of centers depends on the weights: init with a step '
          'cannot be traced. Give k instead.'
        )
      shares = jax.tree.map(lambda w: share.state_form(w.shape, k), params)
      form = jax.ShapeDtypeStruct
      return form((k,), np.float32), shares, form((), np.int32)

    centers, shares, used = share.on_host(
      lambda p: group(p, weights), forms, params
    )
    shares = _map(share.placed_like, shares, params)
    zeros = jax.tree.map(lambda w: np.zeros((), w.dtype), params)
    state = CodebookState(shares, zeros, used)
    return jax.tree.map(jnp.asarray, (centers, state))

  def view(centers, state):
    show = lambda s, zero: share.look_up(centers, s).astype(zero.dtype)
    return _map(show, state.shares, state.zeros)

  def encode(centers, state):
    if not isinstance(state.used, jax.core.Tracer):
      centers = centers[: int(tree.to_host(state.used))]
    values = share.with_zero(centers)
    # One array object a dtype: a file holds it once.
    dtypes = {zero.dtype for zero in jax.tree.leaves(state.zeros)}
    tables = {dtype: values.astype(dtype) for dtype in dtypes}
    make = lambda s, zero: Codebook(tables[zero.dtype], s.codes)
    return _map(make, state.shares, state.zeros)

  return checked(Compressor(init, view, encode))


def _map(f, shares, others):
  is_share = lambda x: isinstance(x, share.ShareState)
  return jax.tree.map(f, shares, others, is_leaf=is_share)
