"""N:M sparsity: of each M consecutive inputs N are kept."""

import functools

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float

from jcompress import tree
from jcompress.base import Compressor
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, encode_sparse, live_weights
from jcompress.numerics.estimators import straight_through

_LARGEST_GROUP = 64


def nm_prune(
  n: int = 2,
  m: int = 4,
  *,
  strength: float = 2e-4,
  axis: int = -2,
  keep_zeros: bool = False,
) -> Compressor:
  """Trains weights of which `n` in each group of `m` are not zero (SR-STE).

  `view = w * mask` with the `n` largest magnitudes of each group, found anew in
  each step. The gradient reaches all weights (straight through), and
  `strength * (1 - mask) * w` is added to it (eq. 8), so that pruned weights
  decay and the mask settles; the penalty of the loss is what has that gradient,
  `strength / 2 * sum(w^2)` over the pruned weights. Weights that are zero at
  `init` stay zero.

  Args:
    n: how many weights of a group are kept, `1 .. m`.
    m: size of a group, at most 64.
    strength: lambda_w, `>= 0`.
    axis: along which the groups lie. -2 counts the inputs of a kernel
      `[..., in, out]`, what 2:4 hardware wants. If `m` does not divide its
      length, the last group is smaller and keeps up to `n`, too.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: a number out of range; in `init`, an array without that axis.

  References:
    Zhou et al., Learning N:M Fine-grained Structured Sparse Neural Networks
    From Scratch, 2021, arXiv 2102.04010.
  """
  _require_pattern(n, m)
  if not 0 <= strength < float('inf'):
    raise ValueError(f'strength is {strength}; it must be finite and >= 0.')

  def mask_of(w, live):
    return nm_mask(apply_mask(w, live), n, m, axis=axis) & live

  def init(w):
    _require_axis(w, axis)
    return w, live_weights(w, keep_zeros)

  def view(w, live):
    return straight_through(
      apply_mask(w, mask_of(w, live)), apply_mask(w, live)
    )

  def penalty(w, live):
    pruned = apply_mask(w, live & ~mask_of(w, live)).astype(jnp.float32)
    return strength / 2 * jnp.sum(jnp.square(pruned))  # eq. 8

  def encode(w, live):
    return encode_sparse(w, mask_of(w, live))

  return leafwise(init, view, encode, penalty)


def nm_mask(
  w: Float[Array, '...'], n: int = 2, m: int = 4, *, axis: int = -2
) -> Bool[Array, '...']:
  """The `n` largest magnitudes of each `m` along an axis; ties: the first.

  Args:
    w: weights.
    n: how many are kept, `1 .. m`.
    m: size of a group; the last one may be smaller.
    axis: along which the groups lie.

  >>> w = jnp.array([0.3, -0.1, 0.2, -0.4, 0.05, 0.6, -0.7, 0.01])
  >>> nm_mask(w, axis=0).astype(int)
  Array([1, 0, 0, 1, 0, 1, 1, 0], dtype=int32)

  Raises:
    ValueError: a number out of range, or an array without that axis.
  """
  _require_pattern(n, m)
  _require_axis(w, axis)
  return _mask(w, n, m, axis % w.ndim)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _mask(w, n, m, axis):
  shape, length = w.shape, w.shape[axis]
  groups = -(-length // m)
  size = _whole_along(jnp.abs(w), axis)
  padding = [(0, 0)] * w.ndim
  padding[axis] = 0, groups * m - length
  size = jnp.pad(size, padding, constant_values=-1)
  size = size.reshape(*shape[:axis], groups, m, *shape[axis + 1 :])
  entry = lambda i: jax.lax.slice_in_dim(size, i, i + 1, axis=axis + 1)
  place = jnp.arange(m, dtype=jnp.int32)
  place = jnp.expand_dims(
    place, (*range(axis + 1), *range(axis + 2, size.ndim))
  )
  # A rank by counting: sorts are slow on CPU.
  rank = sum(
    ((entry(i) > size) | ((entry(i) == size) & (i < place))).astype(jnp.int32)
    for i in range(m)
  )
  mask = (rank < n).reshape(*shape[:axis], groups * m, *shape[axis + 1 :])
  mask = jax.lax.slice_in_dim(mask, 0, length, axis=axis)
  return tree.placed_as(mask, w)


def _whole_along(x, axis):
  """The same array, not sharded along an axis: groups may cross shards."""
  sharding = jax.typeof(x).sharding
  if sharding.mesh.empty:
    return x
  spec = [s if i != axis else None for i, s in enumerate(sharding.spec)]
  place = NamedSharding(sharding.mesh, PartitionSpec(*spec))
  return jax.sharding.reshard(x, place)


def _require_pattern(n, m):
  if not 1 <= n <= m <= _LARGEST_GROUP:
    raise ValueError(
      f'{n=}, {m=}: it must be 1 <= n <= m <= {_LARGEST_GROUP}, such as 2 of 4.'
    )


def _require_axis(w, axis):
  if not -w.ndim <= axis < w.ndim:
    raise ValueError(
      f'An array {list(w.shape)} has no axis {axis}. Leave biases and norms '
      'out, by select(KERNELS, ...), or give another axis.'
    )
