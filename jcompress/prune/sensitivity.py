"""How much each layer suffers from being pruned alone."""

import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from jcompress import html_table, tree
from jcompress.mask import apply_mask
from jcompress.prune.threshold import largest_mask


class Pruned(NamedTuple):
  """One layer pruned, and all others as they were."""

  path: str  # of the layer
  size: int  # its weights
  sparsity: float  # that was asked for
  kept: int  # weights that are not zero
  loss: float
  metrics: dict[str, float]  # what the loss function gave beside it


@dataclasses.dataclass(frozen=True)
class Scan:
  """What pruning each layer alone does to the loss.

  Attributes:
    dense: one entry a layer that was left as it is: `kept` counts the weights
      that were not zero before; the loss is the same in all.
    rows: one entry a layer and sparsity.
  """

  dense: tuple[Pruned, ...]
  rows: tuple[Pruned, ...]

  def curve(self, path: str) -> tuple[Pruned, ...]:
    """The entries of a layer, the dense one first.

    Raises:
      ValueError: there is no such layer.
    """
    found = tuple(r for r in self.dense + self.rows if r.path == path)
    if not found:
      names = ', '.join(r.path for r in self.dense)
      raise ValueError(f'No layer {path!r} was pruned, only: {names}.')
    return found

  def to_dict(self) -> dict[str, Any]:
    """The scan as plain numbers, ready for JSON."""
    return {
      'dense': [r._asdict() for r in self.dense],
      'rows': [r._asdict() for r in self.rows],
    }

  def table(self) -> Table:
    """The scan as a table for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for i, title in enumerate(self._columns()):
      table.add_column(title, justify='right' if i else 'left', no_wrap=True)
    for start in self.dense:
      for cells in self._cells(start):
        table.add_row(*cells)
      table.add_section()
    return table

  def _columns(self):
    return 'layer', 'sparsity', 'kept', 'loss', *self.dense[0].metrics

  def _cells(self, start):
    """The text of the rows of the layer that `start` is of."""
    for r in self.curve(start.path):
      values = [r.loss, *(r.metrics[n] for n in start.metrics)]
      share = '-' if r is start else f'{100 * r.sparsity:.1f} %'
      yield [r.path, share, f'{r.kept:,}', *(f'{v:.4g}' for v in values)]

  def __str__(self) -> str:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(self.table())
    return console.export_text()

  def _repr_html_(self) -> str:
    """The scan as a table for a notebook."""
    rows = [cells for start in self.dense for cells in self._cells(start)]
    return html_table.table(self._columns(), rows)


def sensitivity(
  loss_fn: Callable[..., Any],
  params: Any,
  sparsities: Sequence[float] | np.ndarray,
  *inputs: Any,
  pattern: str = tree.KERNELS,
  scores: Any = None,
) -> Scan:
  """Prunes one layer at a time, without training, and measures the loss.

  The mask is an argument of the one function that is compiled.

  Args:
    loss_fn: `(params, *inputs) -> loss` or `(loss, metrics)`, as in
      `train_step`; a scalar, and a dict of scalars to be noted beside it.
    params: tree of arrays.
    sparsities: fractions of a layer to prune, `0 .. 1`; zeros count as pruned.
    *inputs: what the loss function takes beside the params, such as a batch.
    pattern: regular expression of the paths of the layers.
    scores: tree of arrays `>= 0` with the paths and shapes of the params, or
      of those that match: the weights of smallest score go, for instance by
      `obd_saliency`. Magnitudes if not given.

  Raises:
    ValueError: a sparsity out of range, or none; a pattern that matches
      nothing; scores that do not fit, or are negative or not finite.

  >>> w = {'a': {'kernel': jnp.array([1.0, 2.0])}, 'b': {'kernel': jnp.ones(2)}}
  >>> loss_fn = lambda w: 5 - sum(x.sum() for x in jax.tree.leaves(w))
  >>> [(r.path, r.loss) for r in sensitivity(loss_fn, w, [0.5]).rows]
  [('a/kernel', 1.0), ('b/kernel', 1.0)]

  References:
    Han et al., Learning both Weights and Connections for Efficient Neural
    Networks, 2015, arXiv 1506.02626, section 3.4, figure 6.
  """
  wrong = [s for s in sparsities if not 0 <= s <= 1]
  if wrong or not len(sparsities):
    raise ValueError(
      f'sparsities are {list(sparsities)}; give fractions in 0 .. 1.'
    )
  chosen, rest = tree.split(pattern, params)
  layers, treedef = jax.tree.flatten(chosen)
  names = tree.paths(chosen)
  ranks = _ranks(chosen, names, scores)

  @jax.jit
  def measure(layers, masks, rest, inputs):
    cut = apply_mask(layers, masks)
    out = loss_fn(tree.join(treedef.unflatten(cut), rest), *inputs)
    loss, metrics = out if isinstance(out, tuple) else (out, {})
    counts = [jnp.sum(x != 0) for x in cut]
    return loss, metrics, counts

  def entries(which, sparsity, masks):
    loss, metrics, counts = measure(layers, masks, rest, inputs)
    values = {k: float(v) for k, v in metrics.items()}
    return [
      Pruned(
        names[i], layers[i].size, sparsity, int(counts[i]), float(loss), values
      )
      for i in which
    ]

  find_mask = jax.jit(largest_mask)
  whole = [jnp.ones_like(x, bool) for x in layers]
  dense = entries(range(len(layers)), 0.0, whole)
  rows = []
  for i, rank in enumerate(ranks):
    for sparsity in sparsities:
      masks = list(whole)
      masks[i] = find_mask(rank, rank.size - round(sparsity * rank.size))
      rows += entries([i], float(sparsity), masks)
  return Scan(tuple(dense), tuple(rows))


def _ranks(chosen, names, scores):
  """Scores by leaf, such that weights without any outrank zeros."""
  leaves = jax.tree.leaves(chosen)
  if scores is None:
    return [jnp.abs(x) for x in leaves]
  given = dict(zip(tree.paths(scores), jax.tree.leaves(scores), strict=True))
  ranks = []
  for path, w in zip(names, leaves, strict=True):
    score = given.get(path)
    if score is None or np.shape(score) != w.shape:
      raise ValueError(
        f'{path} is {list(w.shape)}, its scores are '
        f'{None if score is None else list(np.shape(score))}; give one a '
        'weight.'
      )
    score = jnp.asarray(score, jnp.float32)
    if not bool(jnp.all(jnp.isfinite(score) & (score >= 0))):
      raise ValueError(f'The scores of {path} must be finite and >= 0.')
    tiny = jnp.finfo(jnp.float32).tiny
    ranks.append(jnp.where(w != 0, jnp.maximum(score, tiny), 0))
  return ranks
