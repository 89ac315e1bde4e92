"""HashedNets: weights share values in buckets that a hash chooses."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from jcompress import tree
from jcompress.base import Compressor
from jcompress.binarize.latent import require_choice
from jcompress.encoded import Hashed
from jcompress.encoded.hashed import MAX_SIZE, look_up
from jcompress.leafwise import leafwise
from jcompress.numerics.whole import require_whole
from jcompress.numerics.wide import to_unit
from jcompress.numerics.xxhash import xxhash32
from jcompress.passing import inner_state, map_state


class HashState(NamedTuple):
  seed: jax.Array  # of the hashes of this array, uint32
  # For each axis of the weight the row-major positions that its indices add,
  # uint32: they know the shape and the sharding, and are small.
  offsets: tuple[jax.Array, ...]


def hash_weights(
  ratio: float | None = None,
  *,
  buckets: int | None = None,
  params: str = 'drawn',
  seed: int = 1691,
) -> Compressor:
  """Lets the weights of each array share the values of `k` hash buckets.

  `V[p] = sign(p) w[h(p)]` for the position `p` of a weight, with two hashes
  computed on the fly (eqs. 3 and 7), so that the buckets `w` are all that is
  trained and shipped. Their gradient is `sum_p sign(p) dL/dV[p]` over the
  weights of a bucket (eq. 12). Weight decay acts on the buckets, once each.

  Args:
    ratio: of buckets to weights, `0 .. 1`; 1/8 and 1/64 in the paper. Each
      array has at least one bucket.
    buckets: instead of `ratio`: how many an array has.
    params: what the params given to `init` are. `'drawn'`: random ones, for
      training from scratch as in the paper; buckets start such that the view
      has their variance. `'trained'`: a bucket starts as the mean of its
      weights, with their signs, the nearest one in least squares.
    seed: of the hashes, `0 .. 2^32 - 1`; each array mixes its number in.

  Raises:
    ValueError: not exactly one of `ratio` and `buckets`; one out of range; in
      `init`, an array of 2^31 or more weights.

  References:
    Chen et al., Compressing Neural Networks with the Hashing Trick, 2015,
    arXiv 1504.04788.
  """
  require_hashing(ratio, buckets, params, seed)

  def count(shape):
    size = math.prod(shape)
    return max(1, round(size * ratio)) if buckets is None else buckets

  return hashed(count, look_up, Hashed, params, seed)


def require_hashing(
  ratio: float | None, buckets: int | None, params: str, seed: int
) -> None:
  """Raises a `ValueError` unless the options of a hashing fit."""
  if (ratio is None) == (buckets is None):
    raise ValueError(
      f'Give exactly one of ratio and buckets, got {ratio=}, {buckets=}.'
    )
  if ratio is not None and not 0 < ratio <= 1:
    raise ValueError(f'ratio is {ratio}; it must be > 0 and at most 1.')
  if buckets is not None:
    require_whole('buckets', buckets, 1, MAX_SIZE)
  require_whole('seed', seed, 0, 2**32 - 1)
  require_choice('params', params, ('drawn', 'trained'))


def hashed(
  count: Callable[[tuple[int, ...]], int],
  expand: Callable[[Any, Any, Any], Any],
  leaf: Callable[..., Any],
  params: str,
  seed: int,
) -> Compressor:
  """A compressor of weights that are a linear function of hashed buckets.

  Args:
    count: `shape -> k`, the buckets of an array of a shape.
    expand: `(buckets, seed, positions) -> w`, the weights of an array; each
      bucket must add entries `-1, 0, 1` to it, up to a rotation.
    leaf: `(buckets, seed, shape)`, what is shipped.
    params: see `hash_weights`.
    seed: see `hash_weights`.
  """

  def init(w):
    if w.size > MAX_SIZE:
      raise ValueError(
        f'An array {list(w.shape)} has more than {MAX_SIZE} weights; split it.'
      )
    state = HashState(jnp.uint32(seed), _offsets(w))
    return jnp.zeros(count(w.shape), w.dtype), state

  @jax.jit
  def fit(w, zeros, seed):
    places = jnp.arange(w.size, dtype=jnp.uint32).reshape(w.shape)
    all_weights = lambda b: expand(b, seed, places)
    _, gather = jax.vjp(all_weights, zeros.astype(jnp.float32))
    w, exponent = to_unit(w.astype(jnp.float32))
    (sums,) = gather(w)
    (counts,) = gather(all_weights(jnp.ones(zeros.shape, jnp.float32)))
    members = jnp.maximum(jnp.round(counts), 1)
    value = sums / (jnp.sqrt(members) if params == 'drawn' else members)
    return jnp.ldexp(value, exponent).astype(zeros.dtype)

  def start(w, zeros, state):
    if not isinstance(w, jax.core.Tracer):
      w = jnp.asarray(tree.to_host(w))
    return fit(tree.replicated(w), zeros, state.seed)

  def view(w, state):
    return expand(w, state.seed, _positions(state))  # eq. 7

  def encode(w, state):
    return leaf(w, state.seed, tuple(len(o) for o in state.offsets))

  comp = leafwise(init, view, encode)

  def init_all(weights):
    latent, state = comp.init(weights)
    state = map_state(_distinct_seeds, state)
    floats, _ = tree.split_floats(weights)
    return jax.tree.map(start, floats, latent, inner_state(state)), state

  return comp._replace(init=init_all)


def _distinct_seeds(state: Any) -> Any:
  # Arrays of one shape would share their pattern otherwise.
  is_state = lambda x: isinstance(x, HashState)
  states, treedef = jax.tree.flatten(state, is_leaf=is_state)
  mixed = [
    s._replace(seed=xxhash32(jnp.uint32(i), s.seed))
    for i, s in enumerate(states)
  ]
  return jax.tree.unflatten(treedef, mixed)


def _offsets(w):
  place = _placement(w)
  strides = [math.prod(w.shape[axis + 1 :]) for axis in range(w.ndim)]
  return tuple(
    place(jnp.arange(size, dtype=jnp.uint32) * jnp.uint32(stride), axis)
    for axis, (size, stride) in enumerate(zip(w.shape, strides, strict=True))
  )


def _placement(w):
  """What spreads a vector over devices as an axis of the weight is spread."""
  if isinstance(w, jax.core.Tracer):
    sharding, put = jax.typeof(w).sharding, jax.sharding.reshard
  else:
    sharding, put = getattr(w, 'sharding', None), jax.device_put
  if not isinstance(sharding, NamedSharding) or sharding.mesh.empty:
    return lambda x, axis: x
  names = (*sharding.spec, *[None] * w.ndim)
  spread = lambda axis: NamedSharding(sharding.mesh, PartitionSpec(names[axis]))
  return lambda x, axis: put(x, spread(axis))


def _positions(state):
  if not state.offsets:
    return jnp.uint32(0)
  ndim = len(state.offsets)
  along = [
    jnp.expand_dims(offset, [i for i in range(ndim) if i != axis])
    for axis, offset in enumerate(state.offsets)
  ]
  return functools.reduce(jnp.add, along)
