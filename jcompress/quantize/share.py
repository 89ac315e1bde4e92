"""Weights that share values: what all methods of shared codebooks need.

A weight is the value of its code: zero for code 0, so that exact zeros stay
zero, and `centers[code - 1]` for the others.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from jcompress import tree
from jcompress.numerics.whole import require_whole

_BLOCK = 64


class ShareState(NamedTuple):
  """Which weights share a value. Shapes depend on the weight's and `k` only."""

  codes: jax.Array  # of the weight: 0 for zero, j + 1 for the j-th center
  members: jax.Array  # [blocks, 64]: positions of weights with one code, int32
  owners: jax.Array  # [blocks]: the center of each block, int32
  used: jax.Array  # how many blocks have members, the first ones, int32


@jax.custom_vjp
def look_up(
  centers: Float[Array, ' k'], state: ShareState
) -> Float[Array, '*shape']:
  """Values of codes: zero for code 0, `centers[code - 1]` for the others.

  The gradient of a center is the sum, in float32, of those of its members. It
  is what differentiating the indexing gives, without its slow scatter: blocks
  of members are gathered and summed, and only the sums of blocks scattered.
  """
  # A gather from concatenated centers would branch on every weight.
  nearest = centers.at[state.codes.astype(jnp.int32) - 1].get(
    mode='clip', out_sharding=jax.typeof(state.codes).sharding
  )
  return jnp.where(state.codes == 0, jnp.zeros([], centers.dtype), nearest)


def _look_up_forward(centers, state):
  return look_up(centers, state), (centers, state)


def _look_up_backward(residuals, grad):
  centers, (_, members, owners, used) = residuals
  flat = tree.replicated(grad).ravel().astype(jnp.float32)

  def total(blocks):
    parts = jnp.take(flat, members[:blocks], mode='fill', fill_value=0).sum(-1)
    start = jnp.zeros(centers.shape, jnp.float32)
    return start.at[owners[:blocks]].add(parts, mode='promise_in_bounds')

  few = len(owners) // 8  # enough for a pruned weight
  sums = jax.lax.cond(
    used <= few, lambda: total(few), lambda: total(len(owners))
  )
  return sums.astype(centers.dtype), None


look_up.defvjp(_look_up_forward, _look_up_backward)


def on_host(
  function: Callable[[Any], Any], forms: Callable[[], Any], params: Any
) -> Any:
  """Runs a function of NumPy arrays on params, traced ones too.

  Args:
    function: `params -> result`, both pytrees of NumPy arrays.
    forms: gives the shapes and dtypes of the result, needed for traced params.
    params: pytree of arrays.
  """
  if any(isinstance(w, jax.core.Tracer) for w in jax.tree.leaves(params)):
    call = lambda p: function(jax.tree.map(np.asarray, p))
    return jax.pure_callback(call, forms(), params, vmap_method='sequential')
  return function(jax.tree.map(tree.to_host, params))


def group_by_code(codes: Integer[np.ndarray, '*shape'], k: int) -> ShareState:
  """The state of codes: positions of the weights of each center, in blocks.

  Each block is of one center. Unfilled places hold the size of the weight,
  which a gather reads as zero.
  """
  flat = codes.ravel()
  blocks = _block_count(flat.size, k)
  members = np.full((blocks * _BLOCK,), flat.size, np.int32)
  owners = np.zeros(blocks, np.int32)
  order = np.argsort(flat, kind='stable')
  ends = np.cumsum(np.bincount(flat, minlength=k + 1))
  block = 0
  for j in range(k):
    mine = order[ends[j] : ends[j + 1]]
    used = -(-mine.size // _BLOCK)
    members[block * _BLOCK : block * _BLOCK + mine.size] = mine
    owners[block : block + used] = j
    block += used
  fields: Any = codes, members.reshape(blocks, _BLOCK), owners, np.int32(block)
  return ShareState(*fields)


def state_form(shape: tuple[int, ...], k: int) -> ShareState:
  """Shapes and dtypes of the state of a weight."""
  blocks = _block_count(math.prod(shape), k)
  form: Any = jax.ShapeDtypeStruct
  return ShareState(
    form(shape, code_dtype(k)),
    form((blocks, _BLOCK), np.int32),
    form((blocks,), np.int32),
    form((), np.int32),
  )


def _block_count(size, k):
  return size // _BLOCK + min(k, size)


def code_dtype(k: int) -> type[np.unsignedinteger]:
  """What holds the codes `0 .. k`."""
  return np.uint8 if k < 256 else np.uint16


def with_zero(centers: Float[Array, ' k']) -> Float[Array, ' k+1']:
  """The values of the codes `0 .. k`."""
  return jnp.concatenate([jnp.zeros(1, centers.dtype), centers])


def placed_like(state: ShareState, w: jax.typing.ArrayLike) -> ShareState:
  """The state with its codes on the devices of the weight."""
  if isinstance(w, jax.Array) and not isinstance(w, jax.core.Tracer):
    if len(w.sharding.device_set) > 1:
      return state._replace(codes=jax.device_put(state.codes, w.sharding))
  return state


def codebook_size(bits: int | None, k: int | None) -> int:
  """How many centers are meant.

  Raises:
    ValueError: not exactly one of `bits` and `k`; one out of range.
  """
  if (bits is None) == (k is None):
    raise ValueError(f'Give exactly one of bits and k, got {bits=}, {k=}.')
  if bits is not None:
    require_whole('bits', bits, 1, 15)
    return 2**bits
  assert k is not None
  require_whole('k', k, 1, 65535)
  return k
