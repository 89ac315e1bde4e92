"""The one loop that trains, with checkpoints."""

import pathlib
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jcompress.base import Compressor
from jcompress.experiments import sources
from jcompress.experiments.metrics import Metrics
from jcompress.experiments.progress import Progress
from jcompress.experiments.recipe import Lesson, Start
from jcompress.train import TrainState, init_train_state, train_step


class Stopped(Exception):
  """Training was stopped by Ctrl-C, after its state was saved."""


def train(
  name: str,
  compressor: Compressor,
  tx: optax.GradientTransformation | None,
  loss: Callable[[Any, Any], Any] | Lesson,
  start: Start,
  key: jax.Array,
  config: Any,
  workdir: pathlib.Path,
) -> TrainState:
  """Trains one stage, or goes on with it.

  Args:
    name: of the stage.
    compressor: what it trains through.
    tx: its optimizer; not needed for no steps.
    loss: `(outputs, batch) -> (loss, metrics)`, or a lesson.
    start: the task, the variables and how many steps.
    key: of dropout and what else the model draws.
    config: with `seed`, `log_every` and `checkpoint_every`.
    workdir: for checkpoints and metrics.

  Raises:
    Stopped: Ctrl-C was pressed.
    ValueError: the devices cannot share a batch.
  """
  tx = optax.identity() if tx is None else tx
  others = {k: v for k, v in start.variables.items() if k != 'params'}
  ts = init_train_state(compressor, tx, start.params, variables=others, key=key)
  if not start.steps:
    return ts
  task, steps = start.task, start.steps
  # Steps that run ahead of each other on several devices of few cores can stop
  # XLA for ever.
  is_simulated = jax.default_backend() == 'cpu' and jax.device_count() > 1
  on_all, by_example = _shardings(task.train.size)
  lesson = loss if isinstance(loss, Lesson) else Lesson(_alone(loss))
  source = task.train if lesson.source is None else lesson.source(task)
  given = jax.device_put(lesson.given, on_all)
  ts = jax.device_put(ts, on_all)
  step = train_step(_loss_fn(task, lesson), compressor, tx)
  sparsity = jax.jit(lambda ts: _zeros(compressor.view(ts.latent, ts.state)))
  folder = workdir.absolute() / 'checkpoints' / name
  options = ocp.CheckpointManagerOptions(max_to_keep=1)
  with ocp.CheckpointManager(folder, options=options) as checkpoints:
    done = checkpoints.latest_step() or 0
    if done:
      ts = checkpoints.restore(done, args=ocp.args.StandardRestore(ts))
    with (
      Metrics(workdir, name, done) as metrics,
      Progress(name, done, steps) as progress,
      Interrupts() as interrupts,
    ):
      while done < steps:
        batch = sources.placed(source, config.seed, done, by_example)
        ts, values = step(ts, (given, batch))
        if is_simulated:
          jax.block_until_ready(values)
        done += 1
        progress.advance()
        last = done == steps or interrupts.seen
        if done % config.log_every == 0 or last:
          numbers = {k: float(v) for k, v in values.items()}
          zeros = round(100 * float(sparsity(ts)), 4)
          metrics.write(step=done, **numbers, sparsity=zeros)
          progress.show(_to_show(numbers, zeros))
        if done % config.checkpoint_every == 0 or last:
          # A checkpoint must never be ahead of the metrics on disk.
          metrics.flush()
          checkpoints.save(done, args=ocp.args.StandardSave(ts))
        if interrupts.seen and done < steps:
          checkpoints.wait_until_finished()
          raise Stopped(f'stopped after step {done} of {steps} of {name!r}.')
  return ts


class Interrupts:
  """Remembers Ctrl-C for the end of a step; pressed again it stops at once."""

  def __init__(self) -> None:
    self.seen = False

  def __enter__(self) -> 'Interrupts':
    # Only the main thread may set handlers; elsewhere nothing is remembered.
    self.is_main = threading.current_thread() is threading.main_thread()
    if self.is_main:
      self.before = signal.signal(signal.SIGINT, self._remember)
    return self

  def _remember(self, number: int, frame: Any) -> None:
    if self.seen:
      raise KeyboardInterrupt
    self.seen = True

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
  ) -> None:
    if self.is_main:
      signal.signal(signal.SIGINT, self.before)


def _alone(loss):
  """A lesson of the outputs alone."""

  def run(task, given, variables, batch, key):
    outputs, new = task.apply(variables, batch, key)
    return *loss(outputs, batch), new

  return run


def _loss_fn(task, lesson):
  def loss_fn(params, given_and_batch, variables, key):
    given, batch = given_and_batch
    whole = {'params': params, **variables}
    value, metrics, new = lesson.run(task, given, whole, batch, key)
    # Collections that the model does not touch stay as they are.
    return value, metrics, {**variables, **new}

  return loss_fn


def _zeros(params):
  kernels = [x for x in jax.tree.leaves(params) if x.ndim > 1] or [jnp.ones(1)]
  zeros = sum(jnp.sum(x == 0, dtype=jnp.float32) for x in kernels)
  return zeros / sum(x.size for x in kernels)


def _to_show(numbers, sparsity):
  shown = {k: v for k, v in numbers.items() if k != 'penalty' or v}
  return shown | ({'sparsity': sparsity} if sparsity > 0.1 else {})


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
