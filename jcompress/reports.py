"""What an encoded tree costs, leaf by leaf, in one table."""

import dataclasses
import io
import os
import pathlib
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from jcompress import encoded, html_table, tree
from jcompress.code import archive, container
from jcompress.patterns import shortened

COLUMNS = (
  'layer',
  'shape',
  'parameters',
  'nonzeros',
  'density',
  'bits/weight',
  'entropy',
  'bytes',
  'ratio',
)
FOLLOWING = 'nonzeros', 'shape'  # from density and parameters; from the model
WIDTH = 100
READABLE = 16  # characters of a path


@dataclasses.dataclass(frozen=True)
class Row:
  """One leaf, or a sum of them. Every number is measured, none asked for.

  Attributes:
    path: of the leaf.
    kind: of the encoded leaf, such as `Codebook`.
    shape: of the array it decodes to.
    parameters: entries of that array; 0 for a leaf tied to an earlier one.
    nonzeros: entries that are not zero after decoding.
    dense_bytes: of the entries as float32.
    entropy_bits: values at their width and codes at their order-0 entropy. A
      coder that knows more than frequencies can go below it.
    file_bytes: of this leaf in the file.
  """

  path: str
  kind: str
  shape: tuple[int, ...]
  parameters: int
  nonzeros: int
  dense_bytes: int
  entropy_bits: float
  file_bytes: int

  @property
  def bits_per_weight(self) -> float:
    return 8 * self.file_bytes / self.parameters if self.parameters else 0.0

  @property
  def entropy_per_weight(self) -> float:
    return self.entropy_bits / self.parameters if self.parameters else 0.0

  @property
  def ratio(self) -> float:
    """Bytes as float32 over bytes in the file."""
    return self.dense_bytes / self.file_bytes if self.file_bytes else 0.0


@dataclasses.dataclass(frozen=True)
class Report:
  """Size report of an encoded tree.

  Attributes:
    rows: one a leaf, in the order of the tree.
    overhead: bytes of the file that belong to no leaf.
    total: the sum, with the overhead in `file_bytes`: the length of the file.
  """

  rows: tuple[Row, ...]
  overhead: int

  @property
  def total(self) -> Row:
    add = lambda name: sum(getattr(r, name) for r in self.rows)
    return Row(
      'total',
      '',
      (),
      add('parameters'),
      add('nonzeros'),
      add('dense_bytes'),
      float(add('entropy_bits')),
      add('file_bytes') + self.overhead,
    )

  def to_dict(self) -> dict[str, Any]:
    """The report as plain numbers, ready for JSON."""
    full = lambda r: (
      dataclasses.asdict(r)
      | {
        'shape': list(r.shape),
        'bits_per_weight': r.bits_per_weight,
        'entropy_per_weight': r.entropy_per_weight,
        'ratio': r.ratio,
      }
    )
    return {
      'rows': [full(r) for r in self.rows],
      'overhead': self.overhead,
      'total': full(self.total),
    }

  def table(self, width: int = WIDTH) -> Table:
    """The report as a table for a terminal.

    Where it is too narrow, what follows from other columns is left out, then
    paths are shortened in the middle. Numbers are whole at any width.

    Args:
      width: of the terminal, in characters.
    """
    columns = dict(zip(COLUMNS, zip(*self.cells(), strict=True), strict=True))
    longest = max(map(len, columns['layer']))
    room = lambda: longest + width - _width(columns)
    for title in FOLLOWING:
      if room() < min(longest, READABLE):
        del columns[title]
    names, most = columns['layer'], max(room(), READABLE)
    columns['layer'] = tuple(shortened(name, most) for name in names)
    table = Table(
      box=box.SIMPLE_HEAD,
      show_edge=False,
      pad_edge=False,
      padding=(0, 1, 0, 0),
      width=_width(columns),  # a console cuts digits to fit its own
    )
    for title in columns:
      justify: Any = 'left' if title in ('layer', 'shape') else 'right'
      table.add_column(_heading(title), justify=justify, no_wrap=True)
    *rows, total = zip(*columns.values(), strict=True)
    for cells in rows:
      table.add_row(*cells)
    table.add_section()
    table.add_row(*total, style='bold')
    return table

  def cells(self) -> list[list[str]]:
    """The text of the table under `COLUMNS`, the total last."""
    rest = ['header', '', '', '', '', '', '', f'{self.overhead:,}', '']
    return [*map(_cells, self.rows), rest, _cells(self.total)]

  def __str__(self) -> str:
    console = Console(width=WIDTH, file=io.StringIO(), record=True)
    console.print(self.table(), crop=False)
    return console.export_text()

  def _repr_html_(self) -> str:
    """The report as a table for a notebook."""
    return html_table.table(COLUMNS, self.cells(), 'total')


def report(source: Any) -> Report:
  """Reports what an encoded tree costs in a file.

  Args:
    source: an encoded tree, an `Artifact`, a file: its path or its bytes.

  Raises:
    ValueError: params that were not encoded, or bytes that are not a file.
    OSError: the file cannot be read.
  """
  if isinstance(source, (str, os.PathLike)):
    source = pathlib.Path(source).read_bytes()
  if isinstance(source, bytes):
    data, source = source, archive.unpack(source).tree
  else:
    if isinstance(source, archive.Artifact):
      source = source.tree
    data = None
  leaves = encoded.encoded_leaves(source)
  sizes = archive.sizes(container.pack(source) if data is None else data)
  names = tree.paths(source, is_leaf=encoded.is_encoded)
  bits = encoded.bits_of_each(leaves)
  first: dict[Any, int] = {}
  ids = map(encoded.identity, leaves)
  tied = [first.setdefault(x, i) != i for i, x in enumerate(ids)]
  rows = map(_row, names, leaves, sizes.each, bits, tied)
  return Report(tuple(rows), sizes.overhead)


def _row(path, leaf, file_bytes, bits, tied):
  values = tree.to_host(leaf.decode())
  return Row(
    path,
    type(leaf).__name__,
    values.shape,
    0 if tied else values.size,
    0 if tied else int(np.count_nonzero(values)),
    0 if tied else 4 * values.size,
    0.0 if tied else bits,
    file_bytes,
  )


def _cells(r):
  return [
    r.path,
    'x'.join(map(str, r.shape)),
    f'{r.parameters:,}',
    f'{r.nonzeros:,}',
    _percent(r.nonzeros, r.parameters),
    f'{r.bits_per_weight:.2f}',
    f'{r.entropy_per_weight:.2f}',
    f'{r.file_bytes:,}',
    f'{r.ratio:.1f}x',
  ]


def _heading(title):
  return title.replace('/', '/\n')


def _width(columns):
  """Characters of a table of columns of text."""
  widths = [
    max(map(len, [*_heading(title).split('\n'), *texts]))
    for title, texts in columns.items()
  ]
  return sum(widths) + 2 * (len(widths) - 1)


def _percent(part, whole):
  return f'{100 * part / whole:.1f} %' if whole else '-'
