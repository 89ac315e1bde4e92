"""How much each layer suffers from losing filters alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.channels.graph import ChannelGraph
from jcompress.channels.removal import mask_channels
from jcompress.mask import apply_mask
from jcompress.prune.sensitivity import Pruned, Scan
from jcompress.structure.filter_pruning import keep_filters


def filter_sensitivity(
  loss_fn: Callable[..., Any],
  graph: ChannelGraph,
  params: Any,
  scores: Mapping[str, Any],
  sparsities: Sequence[float],
  *inputs: Any,
) -> Scan:
  """Prunes the filters of one layer at a time, and measures the loss.

  The channels are masked on both sides, as `mask_channels` does; so this is the
  loss of the smaller network, and one compiled function measures all of them.

  Args:
    loss_fn: `(params, *inputs) -> loss` or `(loss, metrics)`.
    graph: from `channel_groups`.
    params: what the graph was made of, with values.
    scores: of the units of the groups to prune, from `filter_norms`.
    sparsities: fractions of the units to remove, `0 <= sparsity < 1`.
    *inputs: what the loss function takes beside the params.

  Returns:
    As `prune.sensitivity`, in units: the layers are the groups.

  Raises:
    ValueError: as `keep_filters`; no sparsity.

  References:
    Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv 1608.08710,
    section 3.2.
  """
  if not len(sparsities):
    raise ValueError('There are no sparsities; give fractions in 0 .. 1.')
  plans = {
    (name, float(s)): keep_filters(graph, {name: scores[name]}, s)
    for name in scores
    for s in sparsities
  }
  whole = jax.tree.map(lambda x: np.ones(np.shape(x), bool), params)

  @jax.jit
  def measure(params, mask, inputs):
    out = loss_fn(apply_mask(params, mask), *inputs)
    return out if isinstance(out, tuple) else (out, {})

  def entry(name, sparsity, kept):
    mask = mask_channels(whole, graph.plan(kept)) if kept else whole
    mask = jax.tree.map(jnp.asarray, mask)
    loss, metrics = measure(params, mask, inputs)
    size = graph.groups[name].size
    values = {k: float(v) for k, v in metrics.items()}
    left = len(kept[name]) if kept else size
    return Pruned(name, size, sparsity, left, float(loss), values)

  return Scan(
    tuple(entry(name, 0.0, {}) for name in scores),
    tuple(entry(*case, kept) for case, kept in plans.items()),
  )
