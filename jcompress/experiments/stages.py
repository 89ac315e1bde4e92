"""A run in stages: train, pass the view on, train again; resumable anywhere."""

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import optax
import orbax.checkpoint as ocp
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from rich import progress

from jcompress import models, train
from jcompress.base import Compressor
from jcompress.experiments import data


class Recipe(NamedTuple):
  """The code of a config file; `steps` is the length of the stage.

  Attributes:
    get_compressor: `(config, stage, steps) -> Compressor`.
    get_optimizer: `(config, stage, steps) -> optax.GradientTransformation`.
  """

  get_compressor: Callable[[Any, str, int], Compressor]
  get_optimizer: Callable[[Any, str, int], optax.GradientTransformation]


class Stage(NamedTuple):
  """A finished stage: its compressor, its train state and its test error."""

  name: str
  compressor: Compressor
  train_state: train.TrainState
  error: float


def run(
  config: Any, recipe: Recipe, dataset: data.Dataset, workdir: pathlib.Path
) -> list[Stage]:
  """Runs the stages of a config, from where an earlier run was cut off.

  Args:
    config: numbers: `seed`, `model`, `batch_size`, `stages`, `checkpoint_every`
      and `log_every` in steps, and for each stage its `epochs`.
    recipe: what the stages do.
    dataset: images and labels in memory.
    workdir: for `checkpoints/` and `metrics.jsonl`.

  Returns:
    The stages in order; the last one is to be encoded.
  """
  model = models.build(config.model, dataset.classes)
  apply_fn = lambda params, images: model.apply({'params': params}, images)
  sample = data.normalize(dataset.train_images[:1])
  params = model.init(jax.random.key(config.seed), sample)['params']
  stages: list[Stage] = []
  for name in config.stages:
    stage = _run_stage(name, config, recipe, apply_fn, params, dataset, workdir)
    params = stage.compressor.view(
      stage.train_state.latent, stage.train_state.state
    )
    stages.append(stage)
  return stages


def _run_stage(name, config, recipe, apply_fn, params, dataset, workdir):
  epoch = len(dataset.train_labels) // config.batch_size
  steps = max(1, round(config[name].epochs * epoch))
  compressor = recipe.get_compressor(config, name, steps)
  tx = recipe.get_optimizer(config, name, steps)
  on_all, by_example = _shardings(config.batch_size)
  ts = train.init_train_state(compressor, tx, params)
  ts = jax.device_put(ts, on_all)
  step = train.train_step(_loss(apply_fn), compressor, tx)
  folder = workdir.absolute() / 'checkpoints' / name
  with ocp.CheckpointManager(
    folder, options=ocp.CheckpointManagerOptions(max_to_keep=1)
  ) as checkpoints:
    start = checkpoints.latest_step() or 0
    if start:
      ts = checkpoints.restore(start, args=ocp.args.StandardRestore(ts))
    batches = data.batches(
      dataset.train_images,
      dataset.train_labels,
      config.batch_size,
      seed=config.seed,
      start=start,
      steps=steps,
    )
    with Metrics(workdir, name, start) as metrics:
      done = start
      for batch in _with_progress(batches, name, start, steps):
        ts, values = step(ts, _place(batch, by_example))
        done += 1
        if done % config.log_every == 0 or done == steps:
          metrics.write(step=done, **{k: float(v) for k, v in values.items()})
        if done % config.checkpoint_every == 0 or done == steps:
          # A checkpoint must never be ahead of the metrics on disk.
          metrics.flush()
          checkpoints.save(done, args=ocp.args.StandardSave(ts))
      error = train.error_rate(
        apply_fn,
        compressor.view(ts.latent, ts.state),
        data.normalize(dataset.test_images),
        dataset.test_labels,
      )
      if not metrics.has_error:
        metrics.write(step=steps, test_error=error)
  return Stage(name, compressor, ts, error)


class Metrics:
  """Writes `metrics.jsonl`: one object a line, none twice after a resume."""

  def __init__(self, workdir: pathlib.Path, stage: str, start: int):
    """Opens the file for a stage and drops what it had after `start`."""
    self.path, self.stage = workdir / 'metrics.jsonl', stage
    kept = [
      r
      for r in read_metrics(self.path)
      if r['stage'] != stage or r['step'] <= start
    ]
    self.has_error = any(
      r['stage'] == stage and 'test_error' in r for r in kept
    )
    self.is_writer = jax.process_index() == 0
    if self.is_writer:
      write_whole(self.path, ''.join(json.dumps(r) + '\n' for r in kept))
      self.file = self.path.open('a')

  def write(self, **values: Any) -> None:
    if self.is_writer:
      self.file.write(json.dumps({'stage': self.stage, **values}) + '\n')

  def flush(self) -> None:
    if self.is_writer:
      self.file.flush()

  def __enter__(self) -> 'Metrics':
    return self

  def __exit__(self, *error: Any) -> None:
    if self.is_writer:
      self.file.close()


def write_whole(path: pathlib.Path, text: str) -> None:
  """Writes a text file, whole or not at all."""
  whole = path.with_suffix('.tmp')
  whole.write_text(text)
  whole.replace(path)


def read_metrics(path: pathlib.Path) -> Iterator[dict[str, Any]]:
  """Reads `metrics.jsonl`; a last line cut off in the middle is left out."""
  lines = path.read_text().splitlines() if path.exists() else []
  for i, line in enumerate(lines):
    try:
      yield json.loads(line)
    except json.JSONDecodeError as error:
      if i + 1 < len(lines):
        raise ValueError(
          f'{path} is damaged in line {i + 1}: {line[:60]!r}. Move it away to '
          'start a new one.'
        ) from error


def _loss(apply_fn):
  def loss_fn(params, batch):
    logits = apply_fn(params, batch['image'])
    loss = optax.softmax_cross_entropy_with_integer_labels(
      logits, batch['label']
    )
    return loss.mean(), {
      'error': 100 * (logits.argmax(-1) != batch['label']).mean()
    }

  return loss_fn


def _shardings(batch_size):
  """Over all devices of all hosts: everything on each, or examples spread."""
  count = jax.device_count()
  if batch_size % count:
    raise ValueError(
      f'batch_size is {batch_size}; it must be a multiple of the {count} '
      'devices that share it.'
    )
  mesh = jax.make_mesh((count,), ('data',), axis_types=(AxisType.Auto,))
  spread = lambda *axes: NamedSharding(mesh, PartitionSpec(*axes))
  return spread(), spread('data')


def _place(batch, sharding):
  place = lambda x: jax.make_array_from_callback(
    x.shape, sharding, lambda index: x[index]
  )
  return jax.tree.map(place, batch)


def _with_progress(batches, name, start, steps):
  columns = (
    progress.TextColumn('{task.description:>8}'),
    progress.BarColumn(),
    progress.MofNCompleteColumn(),
    progress.TimeElapsedColumn(),
    progress.TimeRemainingColumn(),
  )
  quiet = jax.process_index() != 0
  with progress.Progress(*columns, disable=quiet) as bar:
    task = bar.add_task(name, total=steps, completed=start)
    for batch in batches:
      yield batch
      bar.advance(task)
