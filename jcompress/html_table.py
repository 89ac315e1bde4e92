"""A table in HTML, for pages and notebooks."""

import html
from collections.abc import Sequence
from typing import Any


def table(
  header: Sequence[Any], rows: Sequence[Sequence[Any]], kind: str = ''
) -> str:
  """A table; of the kind `'total'` its last row is the sum of the others.

  >>> table(['a'], [['<']])
  '<table class=""><tr><th>a</th></tr><tr><td>&lt;</td></tr></table>'
  """
  lines = ''.join(f'<tr>{_cells(cells, "td")}</tr>' for cells in rows)
  head = f'<tr>{_cells(header, "th")}</tr>'
  return f'<table class="{kind}">{head}{lines}</table>'


def escaped(text: Any) -> str:
  """Text that stands for itself in HTML."""
  return html.escape(str(text))


def _cells(cells, tag):
  return ''.join(f'<{tag}>{escaped(c)}</{tag}>' for c in cells)
