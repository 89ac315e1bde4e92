"""Soft weight-sharing: a mixture of Gaussians draws the weights together."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import Codebook
from jcompress.mask import apply_mask, live_weights
from jcompress.numerics.whole import require_whole
from jcompress.passing import checked
from jcompress.share.mixture import (
  Mixture,
  assign,
  component_table,
  hyper_priors,
  merge_components,
)
from jcompress.share.prior import negative_log_prior


class SoftShareLatent(NamedTuple):
  weights: Any  # tree of the params
  mixture: Mixture  # one for all weights


class SoftShareState(NamedTuple):
  live: Any  # tree of the params, bool: where the weight was not zero
  calls: jax.Array  # of update so far, int32


def soft_share(
  examples: int,
  *,
  components: int = 17,
  strength: float | optax.Schedule = 0.005,
  zero_proportion: float = 0.999,
  deviation: float = 0.25,
  zero_precision: tuple[float, float] | None = (5000.0, 2.0),
  precision: tuple[float, float] | None = (250.0, 0.1),
  zero_beta: tuple[float, float] | None = None,
  merge_below: float = 1e-10,
  keep_zeros: bool = False,
) -> Compressor:
  """Learns weights and the few values that they gather around.

  Adds `strength / examples * -log p(w, theta)` to the mean loss of an example,
  with `p(w) = prod_i sum_j pi_j N(w_i | mu_j, 1 / lambda_j)` (eqs. 5 and 6)
  over the weights of all arrays and a Gamma prior on each precision
  `lambda_j`. The first component has a fixed mean, zero, and proportion; means,
  precisions and the other proportions are trained with the weights: give them
  learning rates of their own by `soft_share_labels`. What is shipped is, for
  each weight, the mean of the component that most likely made it. Weights that
  are zero at `init` stay zero, and the prior leaves them out.

  For arrays of more than 4,096 weights the prior is computed at as many points
  and read off between them: its gradients are off by at most 2.5 % of their
  root mean square, and by much less while the components are wide (`prior.py`
  says when).

  Start from trained weights. Weight decay should leave the mixture alone.

  Args:
    examples: in the training set; the mean loss does not count them.
    components: J + 1, the one at zero included, `2 .. 257`.
    strength: tau, `>= 0`, or a schedule of it over the calls of `update`, such
      as `optax.linear_schedule(0, 0.005, steps)`: a mixture that collapses too
      early leaves weights behind.
    zero_proportion: pi_0, `0 .. 1` without the ends.
    deviation: standard deviation of each component at the start, `> 0`, in
      units of the largest weight. Neighbours must overlap.
    zero_precision: `(a, b)` of the Gamma prior on the precision of the
      component at zero, `a > 1`, `b > 0`: its mode is `(a - 1) / b`. `None` is
      no prior; then quantizing tends to destroy the network.
    precision: likewise, of each other component.
    zero_beta: `(a, b)` of a Beta prior on pi_0, each `>= 1`; then pi_0 is
      trained, too, from `zero_proportion` on.
    merge_below: components are merged before shipping while the
      Kullback-Leibler divergence of two is below this, `>= 0`.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: a number out of range.

  References:
    Ullrich et al., Soft Weight-Sharing for Neural Network Compression, 2017,
    arXiv 1702.04008.
  """
  if examples < 1:
    raise ValueError(f'examples is {examples}; it must be at least 1.')
  require_whole('components', components, 2, 257)
  if not callable(strength) and not 0 <= strength < np.inf:
    raise ValueError(f'strength is {strength}; it must be finite and >= 0.')
  if not 0 < zero_proportion < 1:
    raise ValueError(
      f'zero_proportion is {zero_proportion}; it must lie between 0 and 1.'
    )
  if not 0 < deviation < np.inf:
    raise ValueError(f'deviation is {deviation}; it must be finite and > 0.')
  if not merge_below >= 0:
    raise ValueError(f'merge_below is {merge_below}; it must be >= 0.')
  for name, prior in {
    'zero_precision': zero_precision,
    'precision': precision,
  }.items():
    if prior is not None and not (prior[0] > 1 and prior[1] > 0):
      raise ValueError(
        f'{name} is {prior}; it must be (a, b) with a > 1, b > 0, or None.'
      )
  if zero_beta is not None and not min(zero_beta) >= 1:
    raise ValueError(
      f'zero_beta is {zero_beta}; it must be (a, b), each >= 1, or None.'
    )
  free = components - 1
  fixed = zero_proportion if zero_beta is None else None

  @jax.jit
  def start(leaves):
    leaves = [w.astype(jnp.float32) for w in leaves]
    low = jnp.min(jnp.stack([jnp.min(w, initial=0) for w in leaves]))
    high = jnp.max(jnp.stack([jnp.max(w, initial=0) for w in leaves]))
    largest = jnp.maximum(high, -low)
    largest = jnp.where(largest > 0, largest, 1.0)
    # Beyond exp(80) the precision would be no float32.
    log_precision = jnp.minimum(-2 * jnp.log(deviation * largest), 80)
    part = jnp.linspace(0.0, 1.0, free, dtype=jnp.float32)
    proportions = jnp.zeros(free, jnp.float32)
    if zero_beta is not None:
      odds = np.log(free * zero_proportion / (1 - zero_proportion))
      proportions = jnp.zeros(components, jnp.float32).at[0].set(float(odds))
    return Mixture(
      low * (1 - part) + high * part,
      jnp.full(components, log_precision, jnp.float32),
      proportions,
    )

  def init(params):
    leaves = [tree.replicated(jnp.asarray(w)) for w in jax.tree.leaves(params)]
    live = jax.tree.map(lambda w: live_weights(w, keep_zeros), params)
    state = SoftShareState(live, jnp.zeros([], jnp.int32))
    return SoftShareLatent(params, start(leaves)), state

  def view(latent, state):
    return apply_mask(latent.weights, state.live)

  def penalty(latent, state):
    table = component_table(latent.mixture, fixed)
    gammas = (zero_precision, *[precision] * free)
    total = hyper_priors(table, gammas, zero_beta)
    for w, mask in zip(
      jax.tree.leaves(latent.weights), jax.tree.leaves(state.live), strict=True
    ):
      total += negative_log_prior(w, mask, table)
    tau = strength(state.calls) if callable(strength) else strength
    return tau / examples * total  # eq. 6

  def update(latent, state, grads):
    del grads
    return latent, state._replace(calls=state.calls + 1)

  def encode(latent, state):
    table = component_table(latent.mixture, fixed)
    merged = merge_components(table, merge_below)
    pairs = zip(
      jax.tree.leaves(latent.weights), jax.tree.leaves(state.live), strict=True
    )
    leaves = [
      Codebook(merged[0].astype(w.dtype), assign(w, mask, merged))
      for w, mask in pairs
    ]
    return jax.tree.structure(latent.weights).unflatten(leaves)

  return checked(Compressor(init, view, encode, penalty, update))


def soft_share_labels(latent: Any) -> Any:
  """Names what each part of a latent is, for `optax.partition`.

  Args:
    latent: of `soft_share`, or one that holds it, as behind `select`.

  Returns:
    A tree of the same form, with 'means', 'log_precisions' and
    'log_proportions' in the mixture and 'weights' everywhere else.
  """
  label = lambda x: SoftShareLatent(
    jax.tree.map(lambda _: 'weights', x.weights), Mixture._make(Mixture._fields)
  )
  return tree.label_parts(latent, SoftShareLatent, label)
