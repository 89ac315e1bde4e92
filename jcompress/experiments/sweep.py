"""Runs many rows and seeds, those that are missing, on several processes."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jcompress.experiments import arguments, bundled, recipe, stages

USAGE = """\
jcompress sweep --config=FILE.py[:ROW] [--config=...] [--config.KEY=VALUE ...]
    --seeds=0,1,2 --workdir=FOLDER

Runs each row, all rows of a file where none is named, with each seed, into
FOLDER/FILE/ROW/seedN. What is finished is not run again, what was cut off goes
on. What a run prints is in its log.txt."""


class Job(NamedTuple):
  """One run: a row with a seed, and where it lies."""

  name: str
  changes: tuple[str, ...]
  workdir: pathlib.Path
  root: pathlib.Path


def main(words: Sequence[str]) -> None:
  """The command."""
  parser = arguments.Parser(USAGE)
  parser.many('config', 'FILE.py or FILE.py:ROW, once for each')
  parser.texts('seeds', ['0'], 'such as 0,1,2')
  parser.folder('workdir', 'where all runs lie')
  parser.count('jobs', 1, 'processes at a time')
  parser.text('cluster', "'slurm' or 'local': run by submitit")
  parser.texts('cluster_options', [], 'of submitit: timeout_min=600,...')
  changes = [w for w in words if w.startswith('--config.')]
  if not parser.parse([w for w in words if w not in changes], 0):
    return
  values = parser.values
  if not values.config or values.workdir is None:
    raise ValueError('sweep needs --config=FILE.py and --workdir=FOLDER.')
  if values.jobs < 1:
    raise ValueError(f'jobs is {values.jobs}; it must be at least 1.')
  root = pathlib.Path(values.workdir)
  jobs = plan(values.config, changes, values.seeds, root)
  missing = [j for j in jobs if not (j.workdir / 'result.json').exists()]
  print(f'{len(jobs)} runs, {len(missing)} of them to do')
  if values.cluster:
    options = dict(o.split('=', 1) for o in values.cluster_options)
    finished = _on_cluster(missing, values.cluster, options, root)
  else:
    finished = _in_processes(missing, values.jobs)
  _report(finished)


def plan(
  names: Sequence[str],
  changes: Sequence[str],
  seeds: Sequence[str],
  root: pathlib.Path,
) -> list[Job]:
  """All runs of some rows and seeds.

  Args:
    names: `FILE.py:ROW`, or `FILE.py` for all of its rows; also
      `jcompress:NAME[:ROW]`.
    changes: words such as `--config.data=digits`, for each run.
    seeds: of the runs.
    root: where they lie.

  Raises:
    ValueError: a file, a row or a key that there is not.
  """
  rows = []
  for name in map(bundled.located, names):
    found = recipe.load(name)
    every = found.rows if ':' not in name else ()
    rows += [f'{found.path}:{row}' for row in every] or [name]
  jobs = []
  for row in dict.fromkeys(rows):
    for seed in seeds:
      words = (*changes, f'--config.seed={seed}')
      found, config = arguments.config_of(row, words)
      workdir = stages.folder(root, found.name, config.seed)
      jobs.append(Job(row, words, workdir, root))
  return jobs


def run_job(job: Job) -> str | None:
  """Runs one job in a process of its own; returns the last line if it failed.

  What it prints goes to `log.txt` beside its results, and what is compiled is
  kept below the root for other rows and seeds.
  """
  job.workdir.mkdir(parents=True, exist_ok=True)
  places = [f'--workdir={job.workdir}', f'--root={job.root}']
  words = [f'--config={job.name}', *job.changes, *places]
  compiled = {'JAX_COMPILATION_CACHE_DIR': str(job.root / '.compiled')}
  with (job.workdir / 'log.txt').open('a+') as log:
    done = subprocess.run(
      [sys.executable, '-m', 'jcompress.main', 'train', *words],
      stdout=log,
      stderr=subprocess.STDOUT,
      env=compiled | os.environ,
    )
    log.seek(0)
    *_, last = [line.strip() for line in log if line.strip()] or ['']
  return f'{last} (exit {done.returncode})' if done.returncode else None


Finished = Iterable[tuple[Job, str | None]]


def _in_processes(jobs, count) -> Finished:
  with concurrent.futures.ThreadPoolExecutor(count) as pool:
    asked = {pool.submit(run_job, job): job for job in jobs}
    try:
      for future in concurrent.futures.as_completed(asked):
        yield asked[future], future.result()
    finally:
      # After Ctrl-C, which the running ones got too, none is begun.
      pool.shutdown(wait=False, cancel_futures=True)


def _on_cluster(jobs, cluster, options: dict[str, Any], root) -> Finished:
  try:
    import submitit
  except ImportError as error:
    raise ValueError(
      "--cluster needs submitit: pip install 'jcompress[cluster]'."
    ) from error
  executor = submitit.AutoExecutor(root / 'submitit', cluster=cluster)
  whole = lambda text: int(text) if text.isdigit() else text
  executor.update_parameters(**{k: whole(v) for k, v in options.items()})
  asked = [(job, executor.submit(run_job, job)) for job in jobs]
  for job, task in asked:
    yield job, task.result()


def _report(finished: Finished) -> None:
  begun, failed = time.monotonic(), []
  for job, error in finished:
    seconds = time.monotonic() - begun
    label = f'{job.workdir.relative_to(job.root)}'
    print(f'{seconds:6.0f} s  {label}: {error or "done"}', flush=True)
    if error:
      failed.append(label)
  if failed:
    raise ValueError(
      f'{len(failed)} runs failed: {", ".join(failed)}. Their log.txt says '
      'more; run the same command to try them again.'
    )
