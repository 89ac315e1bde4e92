"""Singular values of one matrix: cut off, and made smaller."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.numerics import exact
from jcompress.numerics.wide import to_unit, wide


def balanced_factors(
  matrix: Float[Array, 'm n'], rank: int
) -> tuple[Float[Array, 'm rank'], Float[Array, 'rank n']]:
  """The nearest product of a rank in squared error, the sizes shared evenly.

  `W = U S V^T`, `left = U_r S_r^(1/2)`, `right = S_r^(1/2) V_r^T`. The squared
  error is the sum of the squares of the other singular values. Of zeros one
  factor is not zero, or neither had a gradient.

  Args:
    matrix: float; an empty one has factors of zeros.
    rank: `1 .. min(m, n)`.

  Returns:
    The factors in at least float32.

  References:
    Eckart and Young, The Approximation of One Matrix by Another of Lower Rank,
    1936.
  """
  m, n = matrix.shape
  matrix, exponent = to_unit(matrix)
  if not matrix.size:
    kind = matrix.dtype
    return jnp.zeros((m, rank), kind), jnp.zeros((rank, n), kind)
  u, s, v = jnp.linalg.svd(matrix, full_matrices=False)
  root = jnp.sqrt(s[:rank])
  scale = jnp.where(s[0] > 0, root, 1)
  left, right = u[:, :rank] * scale[None], root[:, None] * v[:rank]
  # Half of the exponent to each factor, and what is left over to one.
  left = jnp.ldexp(left, exponent // 2)
  return left, jnp.ldexp(right, exponent - exponent // 2)


def leading(matrix: Float[Array, 'm n'], rank: int) -> Float[Array, 'm rank']:
  """The first left singular vectors, the largest first.

  Of a matrix that is wider than high they are the eigenvectors of its small
  Gram matrix `[m, m]`.

  Args:
    matrix: float, in at least float32.
    rank: `1 .. min(m, n)`; `1 .. m` of a wide matrix.
  """
  if matrix.shape[0] > matrix.shape[1]:
    return jnp.linalg.svd(matrix, full_matrices=False)[0][:, :rank]
  return leading_of_gram(exact.matmul(matrix, matrix.T), rank)


def leading_of_gram(
  gram: Float[Array, 'm m'], rank: int
) -> Float[Array, 'm rank']:
  """The eigenvectors of the largest eigenvalues, the largest first."""
  return jnp.linalg.eigh(gram)[1][:, ::-1][:, :rank]


def energetic(w: Float[Array, 'm n'], energy: float) -> Float[Array, 'm n']:
  """Cuts off the singular values beyond a fraction of the sum of their squares.

  Args:
    w: a matrix.
    energy: `0 .. 1`; the smallest rank that keeps it stays, at least one.

  >>> energetic(jnp.diag(jnp.array([3.0, 1.0])), 0.9).round(6).tolist()
  [[3.0, 0.0], [0.0, 0.0]]
  """
  if not w.size:
    return w
  u, s, v = jnp.linalg.svd(wide(w), full_matrices=False)
  squares = jnp.square(s / jnp.where(s[0] > 0, s[0], 1))
  before = jnp.cumsum(squares) - squares
  # What rounding adds is not to cost a rank.
  kept = before < energy * jnp.sum(squares) * (1 - 1e-6)
  product = exact.matmul(u * jnp.where(kept, s, 0)[None], v)
  return product.astype(w.dtype)


def nuclear(
  w: Float[Array, 'm n'], threshold: Float[Array, ''] | float
) -> Float[Array, 'm n']:
  """Makes each singular value smaller by the threshold, down to zero.

  `argmin 1/2 |Z - W|^2 + threshold |Z|_*`, with the sum of the singular values
  as the norm, is `U max(S - threshold, 0) V^T`.

  Args:
    w: a matrix.
    threshold: `>= 0`.

  >>> nuclear(jnp.diag(jnp.array([3.0, 1.0])), 2.0).round(6).tolist()
  [[1.0, 0.0], [0.0, 0.0]]

  References:
    Cai, Candes & Shen, A Singular Value Thresholding Algorithm for Matrix
    Completion, 2010.
    Alvarez & Salzmann, Compression-aware Training of Deep Networks, 2017.
  """
  if not w.size:
    return w
  u, s, v = jnp.linalg.svd(wide(w), full_matrices=False)
  shrunk = jnp.maximum(s - jnp.asarray(threshold, s.dtype), 0)
  return exact.matmul(u * shrunk[None], v).astype(w.dtype)
