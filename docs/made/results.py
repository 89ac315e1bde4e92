"""Pages and rows of results, from the docstrings of the configs."""

import ast
import functools
import pathlib
import re
from typing import NamedTuple

from jcompress.experiments import recipe

ROOT = pathlib.Path(__file__).parents[2]


def configs() -> list[str]:
  """The names of all config files."""
  return sorted(path.stem for path in (ROOT / 'configs').glob('*.py'))


def docstring(config: str) -> str:
  text = (ROOT / f'configs/{config}.py').read_text()
  return ast.get_docstring(ast.parse(text)) or ''


def page(config: str) -> str:
  """The docstring of a config as Markdown; its tables are preformatted."""
  body, _, references = docstring(config).partition('References:\n')
  if not references:
    return body.strip() + '\n'
  each = re.split(r'\n(?=  \S)', references.rstrip())
  items = [f'* {" ".join(text.split())}\n' for text in each]
  return f'{body.strip()}\n\nReferences:\n\n{"".join(items)}'


class Block(NamedTuple):
  """A table.

  Attributes:
    about: the end of the sentence before it.
    head: the lines above its first row.
    rows: the lines of each row.
  """

  about: str
  head: list[str]
  rows: dict[str, list[str]]


@functools.cache
def blocks(config: str) -> list[Block]:
  """The tables of a config that have its rows in their first column."""
  known = recipe.load(str(ROOT / f'configs/{config}.py')).rows
  found = []
  for about, lines in _preformatted(docstring(config)):
    block = Block(about, [], {})
    for line in lines:
      first = line.split()[0].rstrip(',')
      if first in known:
        block.rows.setdefault(first, []).append(line)
      elif not block.rows:
        block.head.append(line)
    if block.rows:
      found.append(block)
  return found


def rows(config: str, wanted: list[str]) -> str:
  """Some rows of the tables of a config, as Markdown.

  Raises:
    ValueError: a row that no table of it has.
  """
  text, seen = '', set()
  for block in blocks(config):
    lines = [line for row in wanted for line in block.rows.get(row, ())]
    if lines:
      table = '\n'.join([*block.head, *lines])
      text += f'{block.about}\n\n{table}\n\n'
      seen |= set(wanted) & set(block.rows)
  if set(wanted) - seen:
    raise ValueError(
      f'No table of configs/{config}.py has the rows {set(wanted) - seen}.'
    )
  return text


def _preformatted(text):
  """Blocks of lines that are indented by four, each with what leads to it."""
  before = ''
  for part in text.split('\n\n'):
    if part.startswith('    '):
      yield before, part.splitlines()
    else:
      *_, before = re.split(r'(?<=\.) ', ' '.join(part.split()))
