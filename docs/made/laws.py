"""What the table of laws says of each method, read without running it."""

import ast
import functools
import pathlib
from typing import NamedTuple

import jcompress as jc

TABLE = pathlib.Path(__file__).parents[2] / 'tests/compressors.py'
FIELDS = 'comp', 'keeps_zeros', 'structural', 'hardens', 'zeros_stay'


class Line(NamedTuple):
  """An entry of the table.

  Attributes:
    name: of the entry.
    methods: the public functions that its compressor is made by.
    says: its other fields, those that are given.
  """

  name: str
  methods: list[str]
  says: dict[str, str | bool]


@functools.cache
def lines() -> list[Line]:
  """All entries."""
  module = ast.parse(TABLE.read_text())
  constants = {
    node.targets[0].id: node.value.value
    for node in module.body
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
  }
  (table,) = [n for n in module.body if getattr(n, 'name', '') == 'table']
  entries = table.body[-1].value
  return [
    _line(key.value, value.body, constants)
    for key, value in zip(entries.keys, entries.values, strict=True)
  ]


def of(method: str) -> str:
  """A sentence on a method, or none where it is no compressor of its own."""
  mine = [line for line in lines() if line.methods[:1] == [method]]
  if not mine:
    return ''
  says = mine[0].says
  zeros = says.get('keeps_zeros')
  text = f'Zeros may move: {zeros}.' if zeros else 'Exact zeros stay zero.'
  if says.get('hardens'):
    text += f' What ships differs from what the model saw: {says["hardens"]}.'
  if says.get('structural'):
    text += ' First in a `chain`: its latent has a form of its own.'
  names = ', '.join(f'`{line.name}`' for line in mine)
  return f'{text} Held to all laws as {names}.'


def _line(name, call, constants):
  comp, *rest = call.args
  read = lambda node: (
    node.value if isinstance(node, ast.Constant) else constants[node.id]
  )
  says = dict(zip(FIELDS[1:], map(read, rest), strict=False))
  says |= {word.arg: read(word.value) for word in call.keywords}
  return Line(name, list(_methods(comp)), says)


def _methods(node):
  """Public names in the order in which they are written."""
  found = [
    (n.lineno, n.col_offset, n.attr)
    for n in ast.walk(node)
    if isinstance(n, ast.Attribute)
    and isinstance(n.value, ast.Name)
    and n.value.id == 'jc'
    and n.attr in jc.__all__
  ]
  names = [name for *_, name in sorted(found)]
  skipped = [n for n in names if n not in ('chain', 'schedules')]
  return skipped or names
