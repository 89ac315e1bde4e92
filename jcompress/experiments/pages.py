"""Self-contained HTML pages: tables, figures, a few sentences."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from jcompress.html_table import escaped, table
from jcompress.reports import COLUMNS, Report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem; text-align: right;
  border-bottom: 1px solid #ddd }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left }
.total tr:last-child { font-weight: 600 }
img { max-width: 100% }
"""


def render(
  title: str,
  facts: Mapping[str, Any],
  report: Report,
  figures: Mapping[str, Any],
) -> str:
  """Renders the page of a run.

  Args:
    title: heading.
    facts: name and value of what a reader wants to know first.
    report: for the table.
    figures: caption to matplotlib figure.
  """
  rows = ''.join(
    f'<li>{escaped(k)}: <b>{escaped(v)}</b></li>' for k, v in facts.items()
  )
  images = [image(caption, figure) for caption, figure in figures.items()]
  parts = [f'<ul>{rows}</ul>', table(COLUMNS, report.cells(), 'total'), *images]
  return page(title, parts)


def page(title: str, parts: Sequence[str]) -> str:
  """A page that needs no other file.

  Args:
    title: heading.
    parts: of HTML, such as `table` and `image` give.
  """
  return (
    f'<!doctype html><html lang="en"><meta charset="utf-8">'
    f'<meta name="viewport" content="width=device-width">'
    f'<title>{escaped(title)}</title><style>{_STYLE}</style>'
    f'<h1>{escaped(title)}</h1>{"".join(parts)}</html>\n'
  )


def heading(text: str) -> str:
  return f'<h2>{escaped(text)}</h2>'


def image(caption: str, figure: Any) -> str:
  """A figure under its caption, inside the page."""
  data = base64.b64encode(png(figure)).decode()
  source = f'data:image/png;base64,{data}'
  return f'{heading(caption)}<img alt="{escaped(caption)}" src="{source}">'


def png(figure: Any) -> bytes:
  """A matplotlib figure as PNG; the same bytes for the same figure."""
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png', dpi=150, metadata={'Software': None})
  return buffer.getvalue()
