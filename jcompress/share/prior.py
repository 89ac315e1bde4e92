"""The prior of many weights, by a table of a function of one number."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.numerics import exact
from jcompress.share.mixture import Table, log_joint

_EXACT = 4096  # weights of an array up to which each is computed
_CELLS, _FINE = 1024, 3072  # of the table: even cells, and points within them


@jax.custom_vjp
def negative_log_prior(
  w: Float[Array, '...'], live: Any, table: Table
) -> Float[Array, '']:
  """`-sum_i log p(w_i)` over the live weights, in float32.

  All weights have one prior, a smooth function of one number. For arrays of
  more than 4096 weights it is computed at as many points, and its logarithm and
  slope are linear in between: time and memory of a few operations a weight, for
  any number of components. The points lie dense where most weights are, and
  where the slope bends: between two components, mostly.

  The error of the gradients is below 2.5 % of their root mean square, measured
  with 17 components as wide as the weights spread, down to a 5,000th of that,
  and with an outlier of up to ten million times the spread. It comes from the
  weights right between two narrow components; those within one have the exact
  slope up to rounding.
  """
  return _forward(w, live, table)[0]


@jax.jit
def _forward(w, live, table):
  x = tree.replicated(w).ravel().astype(jnp.float32)
  mask = tree.replicated(live).ravel()
  value, to_w, to_table = (_each if x.size <= _EXACT else _between)(
    x, mask, table
  )
  to_w = to_w.reshape(w.shape).astype(w.dtype)
  place = jax.typeof(w).sharding
  if not place.mesh.empty:
    to_w = jax.sharding.reshard(to_w, place)
  return value, (to_w, to_table)


def _backward(residuals, cotangent):
  to_w, to_table = residuals
  return (
    (cotangent * to_w.astype(jnp.float32)).astype(to_w.dtype),
    None,
    cotangent * to_table,
  )


negative_log_prior.defvjp(_forward, _backward)


class _Prior(NamedTuple):
  """`-log p` at some points."""

  values: jax.Array
  slopes: jax.Array
  bends: jax.Array  # second derivatives
  to_table: tuple[jax.Array, ...]  # derivatives, each [components, points]


def _prior(points, table) -> _Prior:
  once = jax.lax.optimization_barrier  # else XLA takes each exp again and again
  root = jnp.exp(table[1] / 2)[:, None]
  means, root = once((table[0][:, None], root))
  joint = once(log_joint(points, table).T)
  top = jnp.max(joint, axis=0)
  share = once(jnp.exp(joint - top[None]))
  total = jnp.sum(share, axis=0)
  inverse = once(1 / total)
  gap = (points[None] - means) * root
  slopes = root * gap
  slope = jnp.sum(share * slopes, axis=0) * inverse
  # The spread of the slopes: a sum of squares, which loses no digits.
  bends = jnp.square(root) - jnp.square(slopes - slope[None])
  bend = jnp.sum(share * bends, axis=0) * inverse
  to_table = -share * slopes, share * (jnp.square(gap) - 1) / 2, -share
  return _Prior(
    -top - jnp.log(total),
    slope,
    bend,
    tuple(x * inverse[None] for x in to_table),
  )


def _each(x, mask, table):
  """The value and its gradients, weight by weight."""
  counts = mask.astype(jnp.float32)
  prior = _prior(x, table)
  return _total(prior, counts, counts * prior.slopes)


def _between(x, mask, table):
  """The same, by the two points around each weight."""
  points, place = _places(x, mask, table)
  prior = _prior(points, table)
  left = jnp.minimum(place.astype(jnp.int32), len(points) - 2)
  part = place - left.astype(jnp.float32)
  one = mask.astype(jnp.float32)
  # Both in one scatter, which takes most of the time.
  pairs = jnp.zeros(len(points), jnp.complex64)
  pairs = pairs.at[left].add(
    jax.lax.complex(one, one * part), mode='promise_in_bounds'
  )
  counts = pairs.real - pairs.imag + jnp.roll(pairs.imag, 1)
  before, after = _at(prior.slopes, left), _at(prior.slopes, left + 1)
  slope = before + part * (after - before)
  return _total(prior, counts, slope / jnp.where(mask, 1, jnp.inf))


def _total(prior, counts, to_w):
  to_table = jnp.stack([exact.matmul(x, counts) for x in prior.to_table])
  return jnp.sum(counts * prior.values), to_w, to_table


def _places(x, mask, table):
  """The points of the table, and where among them each weight lies.

  Cells are even in `x / (scale + |x|)`, so that no outlier takes them from the
  other weights. Each is divided evenly, the more the worse a line through the
  slopes at its ends would be, or one through the values.
  """
  low = jnp.min(jnp.where(mask, x, jnp.inf))
  high = jnp.max(jnp.where(mask, x, -jnp.inf))
  low, high = jnp.where(mask.any(), jnp.stack([low, high]), 0)
  few = slice(None, None, -(-x.size // _EXACT))
  one = mask[few].astype(jnp.float32)
  root = jnp.sum(one * jnp.sqrt(jnp.abs(x[few])))
  root = root / jnp.maximum(jnp.sum(one), 1)
  scale = jnp.where(root > 0, jnp.square(root), jnp.maximum(high, -low))
  scale = jnp.where(scale > 0, scale, 1)
  squash = lambda x: x / (scale + jnp.abs(x))
  first = squash(low)
  width = (squash(high) - first) / _CELLS
  u = first + width * jnp.arange(1, _CELLS, dtype=jnp.float32)
  inner = jnp.clip(scale * u / (1 - jnp.abs(u)), low, high)
  edges = jnp.concatenate([low[None], inner, high[None]])
  length = jnp.diff(edges)

  parts = _parts(_prior(edges, table), length)
  begin = jnp.cumsum(parts) - parts
  mark = jnp.zeros(_CELLS + _FINE + 1, jnp.int32).at[begin].add(1)
  cell = jnp.cumsum(mark) - 1
  step = length / parts.astype(jnp.float32)
  along = jnp.arange(len(cell), dtype=jnp.int32) - begin[cell]
  points = edges[cell] + along.astype(jnp.float32) * step[cell]

  step = jnp.where(step > 0, step, 1)
  pace = 1 / step
  offset = (begin.astype(jnp.float32) * step - edges[:-1]) / step
  mine = (squash(x) - first) / jnp.where(width > 0, width, 1)
  mine = jnp.clip(mine.astype(jnp.int32), 0, _CELLS - 1)
  place = _at(offset, mine) + x * _at(pace, mine)
  return jnp.minimum(points, high), jnp.clip(place, 0, len(cell) - 1)


def _parts(prior, length):
  """Into how many parts each cell is divided; `_FINE` more than cells."""
  rise = jnp.diff(prior.slopes)
  off = lambda bends: jnp.abs(rise - length * bends)
  size = jnp.abs(prior.slopes)
  size = size[1:] + size[:-1]
  error = off(prior.bends[1:]) + off(prior.bends[:-1])
  of_slope = jnp.sqrt(error / jnp.where(size > 0, size, 1))
  of_value = jnp.sqrt(length * jnp.abs(rise))  # of a line through the values
  few, many = (
    jnp.floor(0.999 * part * _FINE * _shares(need)).astype(jnp.int32)
    for part, need in ((0.25, of_value), (0.75, of_slope))
  )
  return 1 + few + many


def _shares(need):
  need = jnp.where(jnp.isfinite(need), need, 0)
  whole = jnp.sum(need)
  return need / jnp.where(whole > 0, whole, 1)


def _at(values, places):
  return values.at[places.astype(jnp.uint32)].get(mode='promise_in_bounds')
