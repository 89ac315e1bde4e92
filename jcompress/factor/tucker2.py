"""Tucker-2 of a kernel: few channels in, a small core, few channels out."""

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.numerics import exact
from jcompress.numerics.spectral import leading
from jcompress.numerics.wide import to_unit

_TOLERANCE = 1e-7


def tucker2_factors(
  kernel: Float[Array, '...'],
  ranks: tuple[int, int],
  sweeps: int = 50,
) -> tuple[Float[Array, '...'], Float[Array, '...'], Float[Array, '...']]:
  """Three layers: to few channels, over the window, to all channels.

  `K[.., i, o] ~ sum_ab A[i, a] core[.., a, b] B[o, b]` with orthonormal `A` and
  `B`. They begin as singular vectors of the kernel unfolded along its inputs
  and its outputs; then each is in turn the best for the other. The squared
  error, `|K|^2 - |core|^2`, does not rise.

  Stride, padding and dilation go to the core, the bias behind the last layer.
  Of a kernel `1 x 1` or of a dense layer `svd_factors` is better.

  Args:
    kernel: `[*window, in, out]`.
    ranks: `a`, the channels before the core, `1 .. in`, and `b`, those behind
      it, `1 .. out`; none more than the window times the other.
    sweeps: at most; stops where the core grows by less than a 10^7th.

  Returns:
    `first` `[*ones, in, a]`, `core` `[*window, a, b]` and `last` `[*ones, b,
    out]`.

  Raises:
    ValueError: a rank out of range, or fewer than two axes.

  References:
    Tucker, Some mathematical notes on three-mode factor analysis, 1966.
    De Lathauwer et al., On the Best Rank-1 and Rank-(R1, ..., RN) Approximation
    of Higher-Order Tensors, 2000.
    Kim et al., Compression of Deep Convolutional Neural Networks for Fast and
    Low Power Mobile Applications, 2016, arXiv 1511.06530.
  """
  require_tucker2(kernel.shape, ranks)
  window, ones = kernel.shape[:-2], (1,) * (kernel.ndim - 2)
  n_in, n_out = kernel.shape[-2:]
  flat = tree.replicated(kernel).reshape(math.prod(window), n_in, n_out)
  a, b = ranks
  if not kernel.size:
    shapes = (*ones, n_in, a), (*window, a, b), (*ones, b, n_out)
    first, core, last = (jnp.zeros(s, kernel.dtype) for s in shapes)
    return first, core, last
  inner, core, outer = _orthogonal_iteration(flat, a, b, sweeps)
  return (
    inner.reshape(*ones, n_in, a).astype(kernel.dtype),
    core.reshape(*window, a, b).astype(kernel.dtype),
    outer.T.reshape(*ones, b, n_out).astype(kernel.dtype),
  )


def require_tucker2(shape: tuple[int, ...], ranks: tuple[int, int]) -> None:
  """Raises a `ValueError` unless a kernel may have these ranks."""
  if len(shape) < 2:
    raise ValueError(
      f'A weight of shape {tuple(shape)} has no inputs and outputs: it needs '
      'two axes or more. Select the kernels only.'
    )
  window, (n_in, n_out), (a, b) = math.prod(shape[:-2]), shape[-2:], ranks
  most = min(n_in, window * b), min(n_out, window * a)
  if min(a, b) < 1 or (min(most) > 0 and (a > most[0] or b > most[1])):
    raise ValueError(
      f'The ranks are {(a, b)}; a weight of shape {tuple(shape)} allows '
      f'1 .. {n_in} and 1 .. {n_out}, none more than {window} times the other.'
    )


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _orthogonal_iteration(kernel, a, b, sweeps):
  kernel, exponent = to_unit(kernel)
  _, n_in, n_out = kernel.shape
  along_in = jnp.moveaxis(kernel, 1, 0)
  along_out = jnp.moveaxis(kernel, 2, 0)

  def step(carry):
    count, _, size, _, outer = carry
    inner = leading(
      exact.einsum('iko,ob->ikb', along_in, outer).reshape(n_in, -1), a
    )
    narrow = exact.einsum('oki,ia->oka', along_out, inner)
    outer = leading(narrow.reshape(n_out, -1), b)
    new = jnp.sum(jnp.square(exact.einsum('oka,ob->kab', narrow, outer)))
    return count + 1, new - size, new, inner, outer

  def goes_on(carry):
    count, gain, size, *_ = carry
    return (count < sweeps) & (gain > _TOLERANCE * size)

  inner = leading(along_in.reshape(n_in, -1), a)
  outer = leading(along_out.reshape(n_out, -1), b)
  core = exact.einsum('kio,ia,ob->kab', kernel, inner, outer)
  size = jnp.sum(jnp.square(core))
  # The first sweep is taken whatever the gain, but not of zeros.
  start = jnp.int32(0), size, size, inner, outer
  *_, inner, outer = jax.lax.while_loop(goes_on, step, start)
  core = exact.einsum('kio,ia,ob->kab', kernel, inner, outer)
  return inner, jnp.ldexp(core, exponent), outer
