"""How a stage is getting on: a bar in a terminal, lines in a pipe."""

import sys
import time

import jax
from rich import progress

_SECONDS = 5  # between the lines in a pipe


class Progress:
  """Shows the steps of a stage, and its loss and error as it goes."""

  def __init__(self, name: str, start: int, steps: int):
    self.name, self.step, self.steps = name, start, steps
    self.is_quiet = jax.process_index() != 0
    self.bar: progress.Progress | None = None
    self.begun = self.shown = time.monotonic()

  def __enter__(self) -> 'Progress':
    if self.step and not self.is_quiet:
      print(f'{self.name}: going on from step {self.step} of {self.steps}')
    if sys.stdout.isatty() and not self.is_quiet:
      self.bar = progress.Progress(
        progress.TextColumn('{task.description:>8}'),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn('{task.fields[numbers]}'),
      )
      self.task = self.bar.add_task(
        self.name, total=self.steps, completed=self.step, numbers=''
      )
      self.bar.start()
    return self

  def advance(self) -> None:
    """One more step is done."""
    self.step += 1
    if self.bar is not None:
      self.bar.advance(self.task)

  def show(self, numbers: dict[str, float]) -> None:
    """Shows what was measured in this step."""
    text = '  '.join(f'{k} {v:.4g}' for k, v in numbers.items())
    if self.bar is not None:
      self.bar.update(self.task, numbers=text)
    elif not self.is_quiet:
      now = time.monotonic()
      if now - self.shown >= _SECONDS or self.step == self.steps:
        self.shown = now
        seconds = now - self.begun
        print(
          f'{self.name:>8} {self.step}/{self.steps}  {text}  {seconds:.0f} s',
          flush=True,
        )

  def __exit__(self, *error: object) -> None:
    if self.bar is not None:
      self.bar.stop()
