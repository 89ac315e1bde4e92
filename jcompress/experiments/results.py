"""Tables and figures of all runs in a folder."""

import csv
import json
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from jcompress.experiments import arguments, pages, plots, run_page
from jcompress.experiments.metrics import write_whole
from jcompress.html_table import table

USAGE = """\
jcompress results FOLDER

Reads the result.json of all runs below FOLDER and writes there results.md,
results.csv, results.html and figures: means over seeds, and their spread; and
report.html of each run that has none."""

COLUMNS = (
  'row',
  'seeds',
  'after each stage',
  'decoded from the file',
  'weights',
  'bytes',
  'ratio',
  'bits',
)


class Row(NamedTuple):
  """The runs of a row on one data set, one a seed.

  Attributes:
    family: the config file.
    name: of the row.
    data: what it was trained on.
    runs: the contents of `result.json`.
  """

  family: str
  name: str
  data: str
  runs: list[dict[str, Any]]

  @property
  def metric(self) -> str:
    """By which rows are compared: the first of the task."""
    return next(iter(self.runs[0]['decoded']))

  @property
  def error(self) -> float:
    return self.mean(lambda r: r['decoded'][self.metric])

  @property
  def bytes(self) -> float:
    return self.mean(lambda r: r['bytes'])

  def values(self, get) -> list[float]:
    return [get(run) for run in self.runs]

  def mean(self, get) -> float:
    return statistics.fmean(self.values(get))


def main(words: Sequence[str]) -> None:
  """The command."""
  parser = arguments.Parser(USAGE)
  if not parser.parse(words, 1):
    return
  folder = pathlib.Path(parser.others[0])
  rows = read(folder)
  write(rows, folder)
  run_page.write_missing(folder)
  print(markdown(rows), end='')


def read(folder: pathlib.Path) -> list[Row]:
  """All rows that have runs in a folder, by family, data and name.

  Raises:
    ValueError: there is no finished run.
  """
  found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
  for path in sorted(folder.rglob('result.json')):
    run = json.loads(path.read_text())
    family, _, name = run['recipe'].partition(':')
    found.setdefault((family, run['data'], name), []).append(run)
  if not found:
    raise ValueError(f'{folder} holds no result.json of a finished run.')
  return [
    Row(family, name or family, data, sorted(runs, key=lambda r: r['seed']))
    for (family, data, name), runs in sorted(found.items())
  ]


def write(rows: Sequence[Row], folder: pathlib.Path) -> None:
  """Writes `results.md`, `.csv`, `.html` and the figures."""
  write_whole(folder / 'results.md', markdown(rows))
  _write_csv(rows, folder / 'results.csv')
  figures = {}
  try:
    for family, data in families(rows):
      chosen = of_family(rows, family, data)
      title = f'{family} on {data}'
      figures[f'{title}: error against bytes'] = plots.plot_front(chosen)
      for i, same in enumerate(_of_one_form(chosen)):
        figures[f'{title}: layers, {i + 1}'] = plots.plot_layers(same)
    for data in dict.fromkeys(r.data for r in rows):
      chosen = [r for r in rows if r.data == data]
      figures[f'all on {data}: error against bytes'] = plots.plot_front(chosen)
  except ValueError as error:
    print(f'No figures: {error}')
  for title, figure in figures.items():
    name = ''.join(c if c.isalnum() else '_' for c in title)
    (folder / f'{name}.png').write_bytes(pages.png(figure))
  tables = [
    pages.heading(f'{family} on {data}') + table(COLUMNS, lines)
    for (family, data), lines in _lines(rows).items()
  ]
  images = [pages.image(title, figure) for title, figure in figures.items()]
  page = pages.page('Results', [*tables, *images])
  write_whole(folder / 'results.html', page)


def markdown(rows: Sequence[Row]) -> str:
  """A table for each family and data set."""
  text = ''
  for (family, data), lines in _lines(rows).items():
    cells = [COLUMNS, ['---'] * len(COLUMNS), *lines]
    text += f'## {family} on {data}\n\n'
    text += ''.join(f'| {" | ".join(line)} |\n' for line in cells) + '\n'
  return text


def families(rows: Sequence[Row]) -> list[tuple[str, str]]:
  """Config files and data sets, in order."""
  return list(dict.fromkeys((r.family, r.data) for r in rows))


def of_family(rows: Sequence[Row], family: str, data: str) -> list[Row]:
  return [r for r in rows if (r.family, r.data) == (family, data)]


def _lines(rows):
  return {
    (family, data): [_line(r) for r in of_family(rows, family, data)]
    for family, data in families(rows)
  }


def _line(row):
  metric, stages = row.metric, row.runs[0]['stages']
  after = [
    f'{name} {row.mean(lambda r, n=name: r["stages"][n][metric]):.2f}'
    for name, measured in stages.items()
    if metric in measured
  ]
  percent = ' %' if metric == 'error' else f' ({metric})'
  decoded = spread(row.values(lambda r: r['decoded'][metric])) + percent
  return [
    row.name,
    ', '.join(str(r['seed']) for r in row.runs),
    ', '.join(after),
    decoded,
    f'{row.mean(lambda r: r["nonzeros"]):,.0f}',
    f'{row.bytes:,.0f}',
    f'{row.mean(lambda r: r["ratio"]):.1f}x',
    f'{row.mean(lambda r: r["bits"]):.3f}',
  ]


def spread(values: Sequence[float]) -> str:
  """The mean, and with several values their standard deviation.

  >>> spread([8.4]), spread([8.0, 8.4, 8.8])
  ('8.40', '8.40 ± 0.40')
  """
  mean = f'{statistics.fmean(values):.2f}'
  if len(values) < 2:
    return mean
  return f'{mean} ± {statistics.stdev(values):.2f}'


def _of_one_form(rows):
  """Rows whose networks have the same layers, together."""
  found: dict[tuple[str, ...], list[Row]] = {}
  for row in rows:
    found.setdefault(tuple(row.runs[0]['layers']), []).append(row)
  return list(found.values())


def _write_csv(rows, path):
  records = [_flat(run) for row in rows for run in row.runs]
  names = list(dict.fromkeys(name for r in records for name in r))
  whole = path.with_suffix('.tmp')
  with whole.open('w', newline='') as file:
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    writer.writerows(records)
  whole.replace(path)


def _flat(values, prefix=''):
  """Nested numbers as one level: `stages.dense.error`."""
  flat = {}
  for name, value in values.items():
    if isinstance(value, dict):
      flat |= _flat(value, f'{prefix}{name}.')
    else:
      flat[f'{prefix}{name}'] = value
  return flat
