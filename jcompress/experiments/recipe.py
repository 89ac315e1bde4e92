"""A recipe: the numbers, the task and the stages of a config file."""

import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections
import optax

from jcompress.base import Compressor
from jcompress.experiments import bundled
from jcompress.experiments.networks import Variables
from jcompress.experiments.sources import Source
from jcompress.experiments.task import Task
from jcompress.schedules import cubic_sparsity

FUNCTIONS = 'get_config', 'get_task', 'get_stages'


class Start(NamedTuple):
  """What a stage of training begins with.

  Attributes:
    task: what is learned.
    variables: of the model, params and other collections.
    steps: how long the stage is.
  """

  task: Task
  variables: Variables
  steps: int

  @property
  def params(self) -> Any:
    return self.variables['params']

  def rising_sparsity(self, sparsity: float) -> optax.Schedule:
    """From 0, fast and then slowly, in the first half of the stage."""
    return cubic_sparsity(sparsity, begin=0, end=self.steps // 2 + 1)


class Lesson(NamedTuple):
  """A loss that sees more than the outputs, such as another network.

  Attributes:
    run: `(task, given, variables, batch, key) -> (loss, metrics, new
      collections)`, in place of `task.apply` and `task.loss`.
    given: arrays, an argument of the step: what a function closes over becomes
      constants of what is compiled.
    source: `task -> examples`; those of the task if not given.
  """

  run: Callable[..., Any]
  given: Any = None
  source: Callable[[Task], Source] | None = None


class Recode(NamedTuple):
  """A stage that changes what would be shipped, such as its codes.

  Attributes:
    name: of the stage.
    change: `(task, variables, encoded) -> encoded`, of the params as the stage
      before ships them; or that and a dict of numbers for the results.
  """

  name: str
  change: Callable[[Task, Variables, Any], Any]


class Begin(NamedTuple):
  """A first stage that takes the network of another row, after a stage of it.

  It is trained if it is not there yet, by the numbers that the two have in
  common (seed, data, share). Rows that begin alike share that run.

  Attributes:
    name: of the stage.
    config: file, relative to that of this recipe, and row:
      `'deep_compression.py:lenet5'`.
    stage: whose network it takes.
  """

  name: str
  config: str
  stage: str


class Train(NamedTuple):
  """A stage that trains through a compressor; without epochs it is applied.

  What it hands on is decoded from what would be shipped.

  Attributes:
    name: of the stage.
    compressor: one, or `Start -> Compressor`, or `Start -> (Compressor, dict)`
      of numbers that the results will show, such as a setting that was found,
      and maybe of the `plan` it follows, for the page of the run.
    optimizer: an optax transformation, or `Start -> transformation`.
    epochs: of the training examples; a fraction is allowed.
    loss: `(task, variables) -> loss like task.loss, or Lesson`, made as the
      stage begins, of the network of before or that of `teacher`. Default: that
      of the task.
    at_once: a name under which the results show what the compressor does before
      the first step; not measured without one.
    teacher: the network of another row, and its task, for `loss`.
  """

  name: str
  compressor: Compressor | Callable[[Start], Any]
  optimizer: Any = None
  epochs: float = 0
  loss: Callable[[Task, Variables], Any] | None = None
  at_once: str = ''
  teacher: Begin | None = None


class Change(NamedTuple):
  """A stage that is not training: surgery, one-shot solvers, recalibration.

  Attributes:
    name: of the stage.
    change: `(task, variables, key) -> (task, variables)`, or these and a dict
      of numbers that the results will show.
  """

  name: str
  change: Callable[[Task, Variables, jax.Array], Any]


Stage = Train | Change | Recode | Begin


class Recipe(NamedTuple):
  """A config file, for one of its rows.

  Attributes:
    path: of the file.
    row: which of its rows; '' if it has none.
    get_config: `row -> ConfigDict`, the numbers.
    get_task: `config -> Task`.
    get_stages: `(config, task) -> stages`.
    rows: names of all of its rows.
  """

  path: str
  row: str
  get_config: Callable[..., ml_collections.ConfigDict]
  get_task: Callable[[Any], Task]
  get_stages: Callable[[Any, Task], list[Stage]]
  rows: tuple[str, ...] = ()

  @property
  def name(self) -> str:
    family = pathlib.Path(self.path).stem
    return f'{family}:{self.row}' if self.row else family

  def config(self) -> ml_collections.ConfigDict:
    """The numbers of the row, those of `defaults` among them."""
    return self.get_config(self.row) if self.row else self.get_config()


def half_cosine(
  make: Callable[..., Any], rate: float, **settings: Any
) -> Callable[[Start], Any]:
  """An optimizer for `Train` whose rate falls to zero along half a cosine.

  Args:
    make: such as `optax.adam`, called with the schedule first.
    rate: at the first step of the stage.
    **settings: of `make`.
  """
  return lambda start: make(
    optax.cosine_decay_schedule(rate, start.steps), **settings
  )


def defaults(**numbers: Any) -> ml_collections.ConfigDict:
  """The numbers that every config has, for `get_config` to add its own.

  `data` names a set (or text) and `data_dir` its folder, `examples` limits the
  training set (0: all of it). `share` multiplies the epochs of every stage.
  `batch_size` is of training; `log_every` and `checkpoint_every` count steps.

  Args:
    **numbers: others, or other values of these.
  """
  return ml_collections.ConfigDict(
    {
      'data': 'mnist_5k',
      'data_dir': '',
      'examples': 0,
      'seed': 0,
      'share': 1.0,
      'batch_size': 128,
      'log_every': 50,
      'checkpoint_every': 1000,
      **numbers,
    }
  )


def load(name: str) -> Recipe:
  """Reads a config file: `'FILE.py[:ROW]'` or `'jcompress:NAME[:ROW]'`.

  A file of several rows lists them as `ROWS`; the first is the one that its
  `get_config()` gives without an argument.

  Raises:
    ValueError: no such file, an error in it, a function or the row is missing.
  """
  path, _, row = bundled.located(name).partition(':')
  spec = importlib.util.spec_from_file_location('jcompress_config', path)
  if spec is None or spec.loader is None or not pathlib.Path(path).is_file():
    raise ValueError(f'{path!r} is not a Python file; give --config=FILE.py.')
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
  except SyntaxError as error:
    raise ValueError(f'{path}, line {error.lineno}: {error.msg}.') from error
  missing = [f'{n}()' for n in FUNCTIONS if not hasattr(module, n)]
  if missing:
    raise ValueError(
      f'{path} does not define {", ".join(missing)}; a config file has '
      'get_config(), get_task(config) and get_stages(config, task).'
    )
  rows = tuple(getattr(module, 'ROWS', ()))
  if row and row not in rows:
    raise ValueError(
      f'{path} has no row {row!r}; there are {", ".join(rows) or "none"}.'
    )
  row = row or (rows[0] if rows else '')
  functions = {name: getattr(module, name) for name in FUNCTIONS}
  return Recipe(path, row, **functions, rows=rows)
