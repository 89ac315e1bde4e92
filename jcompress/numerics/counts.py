"""Whole numbers of weights, exact beyond what float32 and int32 hold."""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

_WIDE_FROM = 2**31


def counting(size: int) -> contextlib.AbstractContextManager[Any]:
  """Where counts up to `size` may be computed: 64 bits wide if they must be."""
  is_wide = size >= _WIDE_FROM
  return jax.enable_x64(True) if is_wide else contextlib.nullcontext()


def count_dtype(size: int) -> type[Any]:
  """What holds counts up to `size`."""
  return jnp.int64 if size >= _WIDE_FROM else jnp.int32


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
