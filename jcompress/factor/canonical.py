"""CP of a kernel: channels in, two depthwise convolutions, channels out."""

import functools
import string

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jcompress import tree
from jcompress.numerics import exact
from jcompress.numerics.spectral import leading
from jcompress.numerics.wide import wide

_LARGEST = 100.0


def canonical_factors(
  kernel: Float[Array, '...'],
  rank: int,
  key: jax.Array | None = None,
  *,
  ridge: float = 1e-6,
  starts: int = 8,
  sweeps: int = 300,
) -> tuple[Float[Array, '...'], ...]:
  """A sum of separable components: `K[h, w, i, o] ~ sum_r y x b a`.

  By alternating least squares: each factor in turn is the best for the others,
  `U = K_(n) Z (Z^T Z + ridge)^-1` with the Khatri-Rao product `Z` of the
  others. After each sweep the norms of a component are spread evenly over its
  factors. Several starts run together, and the one that ends best is kept. With
  its channels between, a layer is `1 x 1`, depthwise `height x 1`, depthwise `1
  x width`, `1 x 1`; an axis of the window of size one has no layer.

  The least error of a rank may belong to no kernel of it: components then grow
  and cancel each other, and training on from there diverges. The ridge bounds
  them, see `largest_component`.

  Args:
    kernel: `[*window, in, out]`.
    rank: how many components, `>= 1`.
    key: of the starts; the same each time if not given.
    ridge: in units of the kernel's norm, `>= 0`.
    starts: the first from the singular vectors of the unfolded kernel, the
      others at random.
    sweeps: of each start.

  Returns:
    `first` `[*ones, in, rank]`, for each axis of the window one `[..., n, ...,
    1, rank]`, `last` `[*ones, rank, out]`.

  Raises:
    ValueError: the rank is below one or fewer than two axes; outside `jit`, a
      component is 100 times the kernel.

  References:
    Carroll & Chang, Analysis of individual differences in multidimensional
    scaling, 1970. Harshman, Foundations of the PARAFAC procedure, 1970.
    Lebedev et al., Speeding-up Convolutional Neural Networks Using Fine-tuned
    CP-Decomposition, 2015, arXiv 1412.6553.
    Phan et al., Stable Low-rank Tensor Decomposition for Compression of
    Convolutional Neural Network, 2020, arXiv 2008.05441.
  """
  require_canonical(kernel.shape, rank)
  *window, n_in, n_out = kernel.shape
  wide_axes = [i for i, n in enumerate(window) if n != 1]
  sizes = [*(window[i] for i in wide_axes), n_in, n_out]
  if kernel.size:
    tensor = tree.replicated(kernel).reshape(sizes)
    key = jax.random.key(0) if key is None else key
    found = _fit(tensor, key, rank, starts, sweeps, jnp.float32(ridge))
    require_stable(tensor, found)
  else:
    found = [jnp.zeros((n, rank)) for n in sizes]
  *along, inner, outer = (f.astype(kernel.dtype) for f in found)
  ones = (1,) * len(window)
  middle = [
    f.reshape(*ones[:i], len(f), *ones[i + 1 :], 1, rank)
    for i, f in zip(wide_axes, along, strict=True)
  ]
  first = inner.reshape(*ones, n_in, rank)
  return first, *middle, outer.T.reshape(*ones, rank, n_out)


def largest_component(
  tensor: Float[Array, '...'], factors: list[Float[Array, '...']]
) -> Float[Array, '']:
  """The norm of the largest component over that of what they sum up to.

  Args:
    tensor: what was factored; zeros have no large components.
    factors: `[size, rank]` for each of its axes.
  """
  norms = [jnp.linalg.norm(wide(f), axis=0) for f in factors]
  size = jnp.linalg.norm(wide(tensor).reshape(-1))
  components = functools.reduce(jnp.multiply, norms)
  return jnp.max(components, initial=0) / jnp.where(size > 0, size, jnp.inf)


def require_canonical(shape: tuple[int, ...], rank: int) -> None:
  """Raises a `ValueError` unless a kernel may have so many components."""
  if len(shape) < 2 or rank < 1:
    raise ValueError(
      f'A weight of shape {tuple(shape)} and the rank {rank}: there must be '
      'two axes or more, and a rank >= 1. Select the kernels only.'
    )


def require_stable(
  tensor: Float[Array, '...'], factors: list[Float[Array, '...']]
) -> None:
  """Raises a `ValueError` for components that grow and cancel.

  Does nothing while tracing: the values are not there to be looked at.
  """
  largest = largest_component(tensor, factors)
  if not isinstance(largest, jax.core.Tracer) and largest > _LARGEST:
    raise ValueError(
      f'The largest component is {float(largest):.3g} times the kernel; up to '
      f'{_LARGEST:g} can be trained on. Give a larger ridge, or another rank.'
    )


def alternate(
  tensor: Float[Array, '...'],
  factors: list[Float[Array, '...']],
  sweeps: Int[Array, ''] | int,
  ridge: Float[Array, ''] | float,
) -> list[Float[Array, '...']]:
  """Alternating least squares from given factors `[size, rank]`."""
  letters = string.ascii_lowercase[: tensor.ndim]

  def sweep(_, found):
    found = list(found)
    for mode, axis in enumerate(letters):
      others = [f for i, f in enumerate(found) if i != mode]
      terms = [a + 'R' for a in letters if a != axis]
      target = exact.einsum(
        f'{letters},{",".join(terms)}->{axis}R', tensor, *others
      )
      grams = [exact.matmul(f.T, f) for f in others]
      gram = functools.reduce(jnp.multiply, grams)
      gram += ridge * jnp.eye(len(gram), dtype=gram.dtype)
      found[mode] = jnp.linalg.solve(gram, target.T).T
    return tuple(_even(found))

  return list(jax.lax.fori_loop(0, sweeps, sweep, tuple(factors)))


def _even(factors):
  """The norms of each component spread evenly over its factors."""
  norms = [jnp.linalg.norm(f, axis=0) for f in factors]
  mean = functools.reduce(jnp.multiply, norms) ** (1 / len(factors))
  scales = [jnp.where(n > 0, mean / jnp.where(n > 0, n, 1), 1) for n in norms]
  return [f * s[None] for f, s in zip(factors, scales, strict=True)]


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _fit(tensor, key, rank, starts, sweeps, ridge):
  tensor = wide(tensor)
  largest = jnp.max(jnp.abs(tensor))
  is_zero = largest == 0
  tensor /= jnp.where(is_zero, 1, largest)
  size = jnp.linalg.norm(tensor.reshape(-1))
  tensor /= jnp.where(is_zero, 1, size)
  begin = _starts(tensor, key, rank, starts)
  ridge = ridge.astype(tensor.dtype)
  solve = lambda factors: alternate(tensor, factors, sweeps, ridge)
  found = jax.vmap(solve)(begin)
  errors = jax.vmap(lambda factors: _error(tensor, factors))(found)
  best = jnp.argmin(jnp.where(jnp.isnan(errors), jnp.inf, errors))
  factors = [f[best] for f in found]
  # Of zeros the last factor alone is zero, or none had a gradient.
  pairs = zip(begin, factors, strict=True)
  factors = [jnp.where(is_zero, b[0], f) for b, f in pairs]
  factors[-1] = jnp.where(is_zero, 0, factors[-1])
  share = (size * largest) ** (1 / len(factors))
  return [f * jnp.where(is_zero, 1, share) for f in factors]


def _starts(tensor, key, rank, starts):
  """Factors of each start, `[starts, size, rank]`."""
  found = []
  for mode, n in enumerate(tensor.shape):
    shape = starts, n, rank
    own = jax.random.fold_in(key, mode)
    drawn = jax.random.normal(own, shape, tensor.dtype) / n**0.5
    flat = jnp.moveaxis(tensor, mode, 0).reshape(n, -1)
    known = leading(flat, min(rank, *flat.shape))
    found.append(drawn.at[0, :, : known.shape[1]].set(known))
  return found


def _error(tensor, factors):
  letters = string.ascii_lowercase[: tensor.ndim]
  terms = ','.join(a + 'R' for a in letters)
  product = exact.einsum(f'{terms}->{letters}', *factors)
  return jnp.sum(jnp.square(tensor - product))
