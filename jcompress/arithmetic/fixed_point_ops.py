"""Fixed point arithmetic in floats: rounding to multiples of 2^-FL."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.numerics.estimators import straight_through


def fixed_point_round(
  x: Float[Array, '*shape'],
  integer_bits: int,
  fraction_bits: int,
  *,
  key: jax.Array | None = None,
) -> Float[Array, '*shape']:
  """Convert(x, <IL, FL>): rounds to multiples of `2^-FL`, and saturates.

  The range is `-2^(IL-1) .. 2^(IL-1) - 2^-FL`. Without a key, `x` is rounded to
  the nearest multiple, downwards from the middle. With a key it is rounded up
  with the probability that makes the mean right. The gradient passes through
  the rounding but, as that of any clip, not beyond the range. Infinities become
  NaN: they show a diverged run, not a large number.

  >>> fixed_point_round(jnp.array([0.3, 1.126, 0.03125, -7.0]), 3, 4)
  Array([ 0.3125,  1.125 ,  0.    , -4.    ], dtype=float32)

  Args:
    x: numbers.
    integer_bits: IL, sign included, `>= 1`.
    fraction_bits: FL, `>= 0`; `IL + FL` at most 24.
    key: a key that is used for nothing else.

  Raises:
    ValueError: bits out of range, or more than the dtype of `x` can hold.

  References:
    Gupta et al., Deep Learning with Limited Numerical Precision, 2015,
    arXiv 1502.02551, section 3.
  """
  require_format(integer_bits, fraction_bits)
  require_holds(x.dtype, integer_bits, fraction_bits)
  end = 2 ** (integer_bits + fraction_bits - 1)
  scaled = x.astype(jnp.float32) * 2**fraction_bits
  multiples = jnp.clip(scaled, -end, end - 1)
  below = jnp.floor(multiples)
  rest = multiples - below
  if key is None:
    up = rest > 0.5
  else:
    up = jax.random.uniform(key, x.shape, jnp.float32) < rest
  value = (below + up.astype(jnp.float32)) * 2.0**-fraction_bits
  value = jnp.where(jnp.isfinite(x), value, jnp.nan).astype(x.dtype)
  inside = multiples == scaled
  return straight_through(value, jnp.where(inside, x, jnp.zeros_like(x)))


def fixed_point_op(
  f: Callable[..., jax.Array],
  integer_bits: int,
  fraction_bits: int,
  *,
  key: jax.Array | None = None,
) -> Callable[..., jax.Array]:
  """Wraps a function of arrays as hardware in <IL, FL> would compute it.

  Its output is converted once, after the whole sum of a dot product, and on the
  way back so is each gradient: the errors that go on, `dW` and `db`. Outputs
  beyond the range get no gradient: in small formats one that passed would push
  them further.

      dense = lambda x, w, b: x @ w + b
      y = fixed_point_op(dense, 8, 8, key=key)(x, kernel, bias)

  Args:
    f: function of arrays to one array. All that gets a gradient must be an
      argument. On accelerators let its products run in full float32 precision.
    integer_bits: IL, see `fixed_point_round`.
    fraction_bits: FL.
    key: rounds stochastically; a fresh one for each call in each step. Output
      and gradients draw with keys of their own split from it.

  Raises:
    ValueError: bits out of range.

  References:
    Gupta et al., 2015, arXiv 1502.02551, sections 3.2 and 4.
  """
  require_format(integer_bits, fraction_bits)

  def convert(x, key):
    if x.dtype == jax.dtypes.float0:  # the gradient of an integer argument
      return x
    return fixed_point_round(x, integer_bits, fraction_bits, key=key)

  @jax.custom_vjp
  def op(key, *xs):
    return convert(f(*xs), split_key(key, 2)[0])

  def forward(key, *xs):
    here, back = split_key(key, 2)
    y, pull = jax.vjp(lambda *xs: convert(f(*xs), here), *xs)
    return y, (pull, back)

  def backward(residuals, error):
    pull, key = residuals
    grads = pull(error)
    return None, *map(convert, grads, split_key(key, len(grads)))

  op.defvjp(forward, backward)
  return lambda *xs: op(key, *xs)


def require_format(integer_bits: int, fraction_bits: int) -> None:
  """Raises a `ValueError` unless float32 can compute in <IL, FL>."""
  if integer_bits < 1 or fraction_bits < 0:
    raise ValueError(
      f'{integer_bits=}, {fraction_bits=}: give at least 1 integer bit, the '
      'sign, and no negative number of fraction bits.'
    )
  if integer_bits + fraction_bits > 24:
    raise ValueError(
      f'{integer_bits=} and {fraction_bits=} make words of '
      f'{integer_bits + fraction_bits} bits; float32 is exact up to 24.'
    )


def require_holds(dtype: Any, integer_bits: int, fraction_bits: int) -> None:
  """Raises a `ValueError` unless a dtype holds every number of <IL, FL>."""
  most = jnp.finfo(dtype).nmant + 2  # the implicit bit and the sign
  if integer_bits + fraction_bits > most:
    raise ValueError(
      f'{jnp.dtype(dtype).name} does not hold the grid of {integer_bits=}, '
      f'{fraction_bits=}: at most {most} bits together. Take fewer, or float32.'
    )


def split_key(key: jax.Array | None, parts: int) -> list[Any]:
  """Keys to draw with; no key stays none."""
  return [None] * parts if key is None else list(jax.random.split(key, parts))
