"""A run in stages: each takes the network of the one before; resumable."""

import pathlib
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from jcompress import encoded as encoded_lib
from jcompress import tree
from jcompress.base import Compressor
from jcompress.experiments import recipe as recipes
from jcompress.experiments.config import require_same_config
from jcompress.experiments.evaluation import bits_of, evaluate
from jcompress.experiments.locks import alone_in
from jcompress.experiments.metrics import Metrics
from jcompress.experiments.networks import Variables, are_equal
from jcompress.experiments.recipe import (
  Begin,
  Change,
  Recipe,
  Recode,
  Start,
  Train,
)
from jcompress.experiments.task import Task, checked
from jcompress.experiments.training import train
from jcompress.planning.plan import Plan

# What a run hands to the run that it begins with.
SHARED = (
  'data',
  'data_dir',
  'examples',
  'seed',
  'share',
  'log_every',
  'checkpoint_every',
)


class Done(NamedTuple):
  """What a run has come to.

  Attributes:
    task: of the network as it is now.
    variables: as the last stage hands them on.
    shipped: the same, the params encoded by the last stage.
    measured: of each stage: its metrics on the test examples, and the numbers
      of a change, or of the compressor of a stage.
  """

  task: Task
  variables: Variables
  shipped: Any
  measured: dict[str, dict[str, float]]


def run(
  recipe: Recipe,
  config: Any,
  workdir: pathlib.Path,
  *,
  root: pathlib.Path | None = None,
  until: str | None = None,
) -> Done:
  """Runs the stages of a recipe, from where an earlier run was cut off.

  Args:
    recipe: the code.
    config: its numbers.
    workdir: for `config.json`, `checkpoints/` and `metrics.jsonl`.
    root: where runs lie that this one may begin with, as `folder` says; beside
      the others in the workdir if not given.
    until: the last stage to run; all if not given.

  Raises:
    ValueError: the task does not fit together; two stages of one name; no
      stage `until`; the workdir holds a run of another config.
  """
  task = checked(recipe.get_task(config))
  stages = recipe.get_stages(config, task)
  names = [stage.name for stage in stages]
  beside = [s.at_once for s in stages if isinstance(s, Train) and s.at_once]
  if not names or len({*names, *beside}) != len(names) + len(beside):
    raise ValueError(
      f'{recipe.name} has the stages {names + beside}; each needs a name.'
    )
  if until is not None and until not in names:
    raise ValueError(f'No stage {until!r}; there are {", ".join(names)}.')
  workdir.mkdir(parents=True, exist_ok=True)
  root = workdir / 'begun' if root is None else root
  last = len(names) if until is None else names.index(until) + 1
  with alone_in(workdir):
    require_same_config(config, recipe.name, workdir / 'config.json')
    variables = jax.device_get(task.init(jax.random.key(config.seed)))
    done = Done(task, variables, _as_they_are(variables), {})
    for i, stage in enumerate(stages[:last]):
      key = jax.random.fold_in(jax.random.key(config.seed), i)
      if isinstance(stage, Begin):
        done = _begin(done, stage, recipe, config, root)
      elif isinstance(stage, Change):
        done = _change(done, stage, key, workdir)
      elif isinstance(stage, Recode):
        done = _recode(done, stage, workdir)
      else:
        teacher = done
        if stage.loss is not None and stage.teacher is not None:
          teacher = _found(stage.teacher, recipe, config, root)
        done = _train(done, stage, key, config, workdir, teacher)
  return done


def folder(root: pathlib.Path, name: str, seed: int) -> pathlib.Path:
  """Where the run of a row and a seed lies below the root of a sweep."""
  return root.joinpath(*name.split(':'), f'seed{seed}')


def _begin(done, stage, recipe, config, root):
  found = _found(stage, recipe, config, root)
  # A network that was changed brings the task that computes it.
  is_changed = found.task.removed or found.task.factored
  task = found.task if is_changed else done.task
  measured = done.measured | {stage.name: found.measured[stage.stage]}
  return Done(task, found.variables, _as_they_are(found.variables), measured)


def _found(stage: Begin, recipe, config, root) -> Done:
  """Another row, as it is after a stage."""
  path = pathlib.Path(recipe.path).parent / stage.config
  other = recipes.load(str(path))
  if other.name == recipe.name:
    raise ValueError(
      f'{recipe.name} needs its own stage {stage.stage!r} before it can run; '
      'name another row.'
    )
  numbers = other.config()
  numbers.update({name: config[name] for name in SHARED})
  workdir = folder(root, other.name, config.seed)
  return run(other, numbers, workdir, root=root, until=stage.stage)


def _change(done, stage, key, workdir):
  """Applies a change, or restores what it gave.

  Functions cannot be stored: a change that gives back another task, or
  variables of another form, runs again. It is a function of what it got.
  """
  path = workdir.absolute() / 'checkpoints' / stage.name
  with (
    Metrics(workdir, stage.name, 0) as metrics,
    ocp.StandardCheckpointer() as checkpoints,
  ):
    task, facts = done.task, {}
    if path.exists() and metrics.result is not None:
      variables = checkpoints.restore(path, _forms(done.variables))
      variables = jax.device_get(variables)
    else:
      task, variables, *more = stage.change(done.task, done.variables, key)
      variables = jax.tree.map(tree.to_host, variables)
      facts = more[0] if more else {}
      if task is done.task and _forms(variables) == _forms(done.variables):
        checkpoints.save(path, variables, force=True)
        checkpoints.wait_until_finished()
    found = _measured(metrics, 0, task, variables, facts)
  measured = done.measured | {stage.name: found}
  shipped = _as_they_are(variables)
  if are_equal(variables, done.variables):
    shipped = done.shipped
  return Done(task, variables, shipped, measured)


def _recode(done, stage, workdir):
  """Changes what is shipped; nothing is stored, it runs again."""
  params = stage.change(done.task, done.variables, done.shipped['params'])
  params, facts = params if isinstance(params, tuple) else (params, {})
  decoded = jax.tree.map(tree.to_host, encoded_lib.decode(params))
  variables = {**done.variables, 'params': decoded}
  with Metrics(workdir, stage.name, 0) as metrics:
    found = _measured(metrics, 0, done.task, variables, facts, params)
  measured = done.measured | {stage.name: found}
  shipped = {**done.shipped, 'params': params}
  return Done(done.task, variables, shipped, measured)


def _train(done, stage: Train, key, config, workdir, teacher):
  task, variables = done.task, done.variables
  epoch = task.train.steps
  steps = round(stage.epochs * config.share * epoch)
  start = Start(task, variables, max(1, steps) if stage.epochs else 0)
  made = lambda x: x(start) if callable(x) else x
  compressor, facts = made(stage.compressor), {}
  if not isinstance(compressor, Compressor):
    compressor, facts = compressor
  before = _at_once(stage, compressor, start, facts, workdir)
  loss = task.loss
  if stage.loss is not None:
    loss = stage.loss(teacher.task, teacher.variables)
  ts = train(
    stage.name,
    compressor,
    made(stage.optimizer),
    loss,
    start,
    key,
    config,
    workdir,
  )
  params = compressor.encode(ts.latent, ts.state)
  others = jax.tree.map(tree.to_host, ts.variables)
  variables = {
    'params': jax.tree.map(tree.to_host, encoded_lib.decode(params)),
    **others,
  }
  shipped = {'params': params, **_as_they_are(others)}
  with Metrics(workdir, stage.name, start.steps) as metrics:
    found = _measured(metrics, start.steps, task, variables, facts, params)
  measured = done.measured | before | {stage.name: found}
  return Done(task, variables, shipped, measured)


def _at_once(stage, compressor, start, facts, workdir):
  """What the compressor does to the network that the stage begins with."""
  if not stage.at_once:
    return {}
  with Metrics(workdir, stage.at_once, 0) as metrics:
    variables = start.variables
    if metrics.result is None:
      params = compressor.encode(*compressor.init(start.params))
      variables = {**variables, 'params': encoded_lib.decode(params)}
    found = _measured(metrics, 0, start.task, variables, facts)
  return {stage.at_once: found}


def _measured(metrics, step, task, variables, facts, params=None):
  if metrics.result is not None:
    return metrics.result['test']
  plans = {k: v.to_json() for k, v in facts.items() if isinstance(v, Plan)}
  found = {k: round(v, 6) for k, v in evaluate(task, variables).items()}
  found |= {k: v for k, v in facts.items() if k not in plans}
  metrics.write(step=step, test=found, **plans, **bits_of(params, variables))
  return found


def _as_they_are(variables):
  return jax.tree.map(encoded_lib.Dense, variables)


def _forms(v):
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), v)
