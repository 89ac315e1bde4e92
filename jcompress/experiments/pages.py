"""One self-contained HTML page: a table, figures, a few sentences."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

from jcompress.reports import COLUMNS, Report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .8rem; text-align: right;
  border-bottom: 1px solid #ddd }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left }
tr:last-child { font-weight: 600 }
img { max-width: 100% }
"""


def render(
  title: str,
  facts: Mapping[str, Any],
  report: Report,
  figures: Mapping[str, Any],
) -> str:
  """Renders a page that needs no other file.

  Args:
    title: heading.
    facts: name and value of what a reader wants to know first.
    report: for the table.
    figures: caption to matplotlib figure.
  """
  text = lambda x: html.escape(str(x))
  facts_rows = ''.join(
    f'<li>{text(k)}: <b>{text(v)}</b></li>' for k, v in facts.items()
  )
  images = ''.join(
    f'<h2>{text(k)}</h2><img alt="{text(k)}" '
    f'src="data:image/png;base64,{base64.b64encode(png(f)).decode()}">'
    for k, f in figures.items()
  )
  return (
    f'<!doctype html><html lang="en"><meta charset="utf-8">'
    f'<title>{text(title)}</title><style>{_STYLE}</style>'
    f'<h1>{text(title)}</h1><ul>{facts_rows}</ul>'
    f'{_table(report)}{images}</html>\n'
  )


def png(figure: Any) -> bytes:
  """A matplotlib figure as PNG; the same bytes for the same figure."""
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png', dpi=150, metadata={'Software': None})
  return buffer.getvalue()


def _table(report):
  row = lambda cells, tag: ''.join(
    f'<{tag}>{html.escape(c)}</{tag}>' for c in cells
  )
  rows: Sequence[str] = [
    f'<tr>{row(cells, "td")}</tr>' for cells in report.cells()
  ]
  return f'<table><tr>{row(COLUMNS, "th")}</tr>{"".join(rows)}</table>'
