"""A mixture of Gaussians as a prior of weights."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from jcompress import tree

Table = Float[Array, '3 components']
_CHUNK = 4096  # weights assigned at a time
_LOG_TWO_PI = float(np.log(2 * np.pi))


class Mixture(NamedTuple):
  """What is trained of the prior, in float32; component 0 has mean zero."""

  means: jax.Array  # [J - 1], of the components after the first
  log_precisions: jax.Array  # [J], of all
  log_proportions: jax.Array  # up to a constant: [J - 1], or [J] with pi_0


@functools.partial(jax.jit, static_argnums=1)
def component_table(mixture: Mixture, zero_proportion: float | None) -> Table:
  """Means, log precisions and log proportions of all components.

  Args:
    mixture: what is trained of them.
    zero_proportion: pi_0, where that is fixed.
  """
  logs = jax.nn.log_softmax(mixture.log_proportions)
  if zero_proportion is not None:
    zero = jnp.full(1, np.log(zero_proportion), jnp.float32)
    logs = jnp.concatenate([zero, logs + float(np.log1p(-zero_proportion))])
  means = jnp.concatenate([jnp.zeros(1, jnp.float32), mixture.means])
  return jnp.stack([means, mixture.log_precisions, logs])


def log_joint(
  w: Float[Array, ' n'], table: Table
) -> Float[Array, 'n components']:
  """`log pi_j N(w_i | mu_j, 1 / lambda_j)` (eq. 5)."""
  means, log_precisions, log_proportions = table
  top = log_proportions + (log_precisions - _LOG_TWO_PI) / 2
  # In units of the deviations, so that no square of a large weight overflows.
  root, top = jax.lax.optimization_barrier((jnp.exp(log_precisions / 2), top))
  return top[None] - jnp.square((w[:, None] - means[None]) * root[None]) / 2


@functools.partial(jax.jit, static_argnums=(1, 2))
def hyper_priors(
  table: Table,
  gammas: Sequence[tuple[float, float] | None],
  beta: tuple[float, float] | None,
) -> Float[Array, '']:
  """`-log` of the densities of precisions and pi_0, up to a constant.

  Args:
    table: of the components.
    gammas: `(a, b)` of the Gamma prior on each precision, or `None`.
    beta: `(a, b)` of the Beta prior on the first proportion, or `None`.
  """
  a, b = np.array([g or (1.0, 0.0) for g in gammas], np.float32).T
  log_precisions, log_proportions = table[1], table[2]
  total = jnp.sum(b * jnp.exp(log_precisions) - (a - 1) * log_precisions)
  if beta is not None:
    log_rest = jax.nn.logsumexp(log_proportions[1:])
    total -= (beta[0] - 1) * log_proportions[0] + (beta[1] - 1) * log_rest
  return total


def merge_components(table: Table, below: float) -> Table:
  """Merges components while two are nearer than `below`.

  The proportions add up; mean and variance are those of the two, weighted by
  the proportions (eq. 8), and the mean of the first stays zero. A component
  that was merged into another keeps its place with proportion zero.
  """
  means, variances, proportions = np.asarray(table, np.float64)
  variances, proportions = np.exp(-variances), np.exp(proportions)
  while True:
    gap = np.square(means[:, None] - means)
    divergence = 0.5 * (
      np.log(variances / variances[:, None])
      + (variances[:, None] + gap) / variances
      - 1
    )
    alive = proportions > 0
    pairs = np.triu(alive[:, None] & alive, 1)
    divergence = np.where(pairs, divergence, np.inf)
    i, j = np.unravel_index(divergence.argmin(), divergence.shape)
    if not divergence[i, j] < below:
      break
    both = proportions[i] + proportions[j]
    share = proportions[[i, j]] / both
    means[i] = share @ means[[i, j]] if i else 0.0
    variances[i] = share @ variances[[i, j]]
    proportions[i], proportions[j] = both, 0.0
  with np.errstate(divide='ignore'):
    logs = -np.log(variances), np.log(proportions)
  return jnp.asarray(np.stack([means, *logs]), jnp.float32)


@jax.jit
def assign(
  w: Float[Array, '...'], live: Any, table: Table
) -> Integer[Array, '...']:
  """The component of largest responsibility; the first of dead weights."""
  w = tree.replicated(w)
  step = lambda x: jnp.argmax(log_joint(x, table), axis=1)
  flat = w.astype(jnp.float32).ravel()
  rows = -(-flat.size // _CHUNK)
  chunks = jnp.pad(flat, (0, rows * _CHUNK - flat.size)).reshape(rows, _CHUNK)
  codes = jax.lax.map(step, chunks).ravel()[: flat.size].reshape(w.shape)
  dtype = np.uint8 if table.shape[1] <= 256 else np.uint16
  return jnp.where(tree.replicated(live), codes, 0).astype(dtype)
