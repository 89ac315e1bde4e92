r"""Draws docs/front.png: error against bytes of one network, by all methods.

    PYTHONPATH=docs python -m made.picture

The numbers are those of the tables in the configs: LeNet-5 on Fashion-MNIST,
seed 0, the error of what the file decodes to.
"""

import re
from typing import NamedTuple

from jcompress.experiments import pages, plots
from made import expand, results

FAMILIES = {  # a config, and the names of its rows that are LeNet-5
  'quantization': '',
  'pruning': 'lenet5_',
  'learned_pruning': 'lenet5_',
  'unit_pruning': 'lenet5_',
  'sharing': 'lenet5_',
  'binarization': 'lenet5_',
  'rate': 'lenet5',
}
LABELS = {
  'binarization': 'binarization, with batch norm',
  'rate': 'trained for the coder',
}
NAMED = {
  'pruning:lenet5_dense': 'dense',
  'pruning:lenet5_nm': '2:4',
  'pruning:lenet5_gradual': 'pruned',
  'learned_pruning:lenet5_variational_dropout': 'variational dropout',
  'binarization:lenet5_bwn': 'binary weights',
  'binarization:lenet5_twn': 'ternary weights',
  'quantization:linear_layer_4': 'pruned, 4 bits',
  'sharing:lenet5_soft_pruned_long': 'pruned, soft sharing',
  'quantization:product_64': 'vector codes',
  'rate:lenet5': 'entropy penalized',
}
COLUMNS = 'trained', 'error', 'at once'


class Point(NamedTuple):
  family: str
  row: str
  bytes: float
  error: float


def points() -> list[Point]:
  """All rows that have an error and a size."""
  found = []
  for family, prefix in FAMILIES.items():
    block = results.blocks(family)[0]
    for row, lines in block.rows.items():
      if row.startswith(prefix):
        size = value(block, lines[0], 'bytes')
        errors = (value(block, lines[0], column) for column in COLUMNS)
        error = next(e for e in errors if e is not None)
        found.append(Point(family, row, size, error))
  return found


def value(block: results.Block, line: str, column: str) -> float | None:
  """The number of a line that ends where the name of its column ends."""
  for head in block.head:
    place = re.search(rf'\b{column}\b', head)
    for number in re.finditer(r'[\d.,]+', line) if place else ():
      if number.end() == place.end():
        return float(number[0].replace(',', ''))
  return None


def draw():
  """The picture."""
  found = points()
  fig, axes = plots.figure(7, 3.7)
  for family in FAMILIES:
    mine = [p for p in found if p.family == family]
    places = [p.bytes for p in mine], [p.error for p in mine]
    label = LABELS.get(family, family.replace('_', ' '))
    axes.plot(*places, 'o', alpha=0.7, label=label)
  front = plots.pareto([(p.bytes, p.error) for p in found])
  axes.step(*zip(*front, strict=True), where='post', color='0.5', zorder=0)
  for p in found:
    name = NAMED.get(f'{p.family}:{p.row}')
    if name:
      place = (p.bytes, p.error)
      axes.annotate(
        name, place, xytext=(5, 3), textcoords='offset points', fontsize=7
      )
  axes.set_xscale('log')
  axes.set_ylim(7, 12)
  axes.set_xlim(right=4e6)
  axes.set_xlabel('bytes of the file')
  axes.set_ylabel('error of what it decodes to, %')
  axes.set_title('LeNet-5 on Fashion-MNIST', fontsize=10)
  axes.legend(fontsize=7)
  return fig


if __name__ == '__main__':
  (expand.DOCS / 'front.png').write_bytes(pages.png(draw()))
