"""Writes the sensitivity of a model's layers into files and on the screen."""

import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import optax

from jcompress.experiments import data, pages, plots, runs
from jcompress.prune.allocation import allocate
from jcompress.prune.sensitivity import Scan, sensitivity

_BATCH = 500


def scan_model(
  apply_fn: Callable[[Any, Any], Any],
  params: Any,
  dataset: data.Dataset,
  sparsities: Sequence[float],
  examples: int = 10_000,
) -> Scan:
  """Scans the kernels of a classifier on training images.

  Args:
    apply_fn: `(params, images) -> logits`.
    params: of the model.
    dataset: the test images, which judge what is pruned, are left alone.
    sparsities: of each kernel in turn.
    examples: how many of the training images, `>= 1`, at most all.

  Returns:
    The cross-entropy, and beside it `error` in percent.

  Raises:
    ValueError: a number out of range.
  """
  if examples < 1:
    raise ValueError(f'examples is {examples}; it must be at least 1.')
  images = data.normalize(dataset.train_images[:examples])
  labels = dataset.train_labels[:examples]

  def loss_fn(params, images, labels):
    def one(example):
      image, label = example
      logits = apply_fn(params, image[None])[0]
      loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
      return loss, logits.argmax() != label

    losses, wrong = jax.lax.map(one, (images, labels), batch_size=_BATCH)
    return losses.mean(), {'error': 100 * wrong.mean()}

  return sensitivity(loss_fn, params, sparsities, images, labels)


def write_scan(
  scan: Scan, workdir: pathlib.Path, sparsity: float | None = None
) -> None:
  """Prints the table; writes `sensitivity.json` and `sensitivity.png`.

  Args:
    scan: of `scan_model`.
    workdir: where to.
    sparsity: of the whole network, to share out over the layers, too.

  Raises:
    ValueError: the scan does not reach the sparsity.
  """
  shares = None if sparsity is None else allocate(scan, sparsity)
  workdir.mkdir(parents=True, exist_ok=True)
  contents = scan.to_dict() | {'sparsity': sparsity, 'allocation': shares}
  (workdir / 'sensitivity.json').write_text(json.dumps(contents, indent=2))
  out = runs.console()
  out.print(scan.table())
  for path, share in (shares or {}).items():
    out.print(f'{path}: prune {100 * share:.2f} %')
  try:
    figure = plots.plot_sensitivity(scan)
  except ValueError as error:
    print(f'No figure: {error}')
  else:
    (workdir / 'sensitivity.png').write_bytes(pages.png(figure))
