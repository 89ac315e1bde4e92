"""Whole numbers of weights, exact beyond what float32 and int32 hold."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_WIDE_FROM = 2**31
_EXACT = 2**24  # up to it each whole number is a float32
_PACKED = 2**12  # two counts below it are one below _EXACT


def counting(size: int) -> contextlib.AbstractContextManager[Any]:
  """Where counts up to `size` may be computed: 64 bits wide if they must be."""
  is_wide = size >= _WIDE_FROM
  return jax.enable_x64(True) if is_wide else contextlib.nullcontext()


def count_dtype(size: int) -> type[Any]:
  """What holds counts up to `size`."""
  return jnp.int64 if size >= _WIDE_FROM else jnp.int32


def count_true(
  mask: Bool[Array, '*shape'], dtype: jax.typing.DTypeLike = jnp.int32
) -> Int[Array, '']:
  """How many are true, exactly.

  By rows, in float32 as long as that is exact: XLA:CPU sums floats in a third
  of the time of integers.

  >>> count_true(jnp.array([True, False, True])).item()
  2
  """
  return jnp.sum(count_rows(mask, dtype), dtype=dtype)


def count_rows(
  mask: Bool[Array, '*shape'], dtype: jax.typing.DTypeLike = jnp.int32
) -> Int[Array, '...']:
  """How many of each row are true, along the last axis of those there are."""
  if not mask.ndim or mask.shape[-1] > _EXACT:
    return jnp.sum(mask, axis=tuple(range(mask.ndim))[-1:], dtype=dtype)
  return jnp.sum(mask, axis=-1, dtype=jnp.float32).astype(dtype)


def count_above(
  x: Int[Array, '*shape'],
  bounds: tuple[Int[Array, ''], Int[Array, '']],
  dtype: jax.typing.DTypeLike,
) -> tuple[Int[Array, ''], Int[Array, '']]:
  """How many are at least each of two rising bounds, exactly, in one pass.

  Args:
    x: integers.
    bounds: the first at most the second.
    dtype: of the counts.
  """
  first, second = bounds
  if not 0 < x.ndim or x.shape[-1] >= _PACKED:
    return count_true(x >= first, dtype), count_true(x >= second, dtype)
  one, both = jnp.float32(1), jnp.float32(1 + _PACKED)
  row = jnp.where(x >= first, one, jnp.float32(0))
  row = jnp.where(x >= second, both, row)
  rows = jnp.sum(row, axis=-1).astype(jnp.int32)
  parts = rows % _PACKED, rows // _PACKED
  few, fewer = (jnp.sum(n.astype(dtype), dtype=dtype) for n in parts)
  return few, fewer


def nearest_share(
  share: Float[Array, '*shape'] | float, count: Int[Array, '*shape'] | int
) -> Int[Array, '*shape']:
  """`round(share * count)`, exactly; of two as near the even one.

  In float32 that product is off by some from 2^24 on, which is 16 million. The
  share is a decimal of seven digits where such a one is the same float32: 0.05
  of 210 are 10.5, not a little more.

  Args:
    share: `0 .. 1`, as a float32.
    count: `0 .. 2^38`.

  Returns:
    Of the dtype of the count; for a Python integer an int32, an int64 from 2^31
    on.

  >>> nearest_share(jnp.float32(0.9), 16_777_217).tolist()
  15099495
  """
  share = jnp.asarray(share, jnp.float32)
  mantissa, exponent = jnp.frexp(share)
  dtype = count_dtype(count) if isinstance(count, int) else count.dtype
  with jax.enable_x64(True):
    count = jnp.asarray(count).astype(jnp.int64)
    places = jnp.int64(10**7)
    decimal = jnp.round(share.astype(jnp.float64) * 1e7).astype(jnp.int64)
    nearest = decimal.astype(jnp.float64) / places.astype(jnp.float64)
    is_decimal = nearest.astype(jnp.float32) == share
    binary = (mantissa * 2**24).astype(jnp.int64)
    shift = jnp.clip(24 - exponent.astype(jnp.int64), 1, 62)
    top = jnp.where(is_decimal, decimal, binary)
    bottom = jnp.where(is_decimal, places, jnp.int64(1) << shift)
    product = top * count
    whole = jax.lax.div(product, jnp.broadcast_to(bottom, product.shape))
    twice = 2 * (product - whole * bottom) - bottom
    up = (twice > 0) | ((twice == 0) & (whole % 2 == 1))
    return (whole + up.astype(jnp.int64)).astype(dtype)
