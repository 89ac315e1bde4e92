"""HTML pages that need no other file, for a phone, a desk, day and night."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jcompress.html_table import escaped

_STYLE = """
:root { color-scheme: light dark;
  --paper: #fff; --ink: #1c1c1e; --soft: #5b5b62; --line: #dcdce1;
  --bar: #2f6db5; --pale: #c9dcf0; --dot: #b4490f }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16171a; --ink: #ececf0; --soft: #a3a3ad; --line: #36373e;
  --bar: #6fa8e8; --pale: #2a4463; --dot: #f2a268 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 66rem; padding: 1rem; overflow-wrap: anywhere;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 }
h2 { font-size: 1.125rem; margin: 2.5rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line) }
p { color: var(--soft); margin: .25rem 0 1rem }
dl { display: grid; gap: 1rem 1.5rem; margin: 1rem 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(7.25rem, 1fr)) }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0; font-size: 1.25rem; font-weight: 600; line-height: 1.3 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .875rem; overflow-wrap: normal }
th, td { padding: .3rem .75rem; text-align: right; vertical-align: baseline;
  border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 400 }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
.leaves :is(th, td):nth-child(2) { text-align: left }
td { white-space: nowrap }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 7rem }
.total tr:last-child { font-weight: 600 }
.grid { display: grid; gap: 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)) }
figure { margin: 0; max-width: 32rem }
figcaption { margin-bottom: .5rem; line-height: 1.35 }
figcaption span { display: block; color: var(--soft); font-size: .875rem }
svg { display: block; width: 100%; height: auto; overflow: visible }
svg text { fill: var(--soft); font-size: 11.5px }
svg .name { fill: var(--ink) }
.grid path, svg .axis { stroke: var(--line); fill: none }
svg .axis { stroke: var(--soft) }
svg .divider { stroke: var(--soft); stroke-dasharray: 2 3 }
svg .level { stroke: var(--dot); stroke-width: 1.25 }
svg .line { fill: none; stroke: var(--bar); stroke-width: 1.5;
  stroke-linejoin: round }
svg .dot { fill: var(--dot); stroke: var(--paper); stroke-width: 1.5 }
svg .bar { fill: var(--bar) }
svg .pale { fill: var(--pale) }
svg .frame { fill: none; stroke: var(--line) }
svg .crisp { image-rendering: pixelated }
img { max-width: 100%; background: #fff }
@media (max-width: 40rem) {
  table { font-size: .8125rem }
  th, td { padding: .3rem 0 .3rem .5rem }
  .leaves td:first-child { min-width: 8.25rem }
  svg text { font-size: 13px }
  .leaves :is(th, td):is(:nth-child(2), :nth-child(3), :nth-child(4),
    :nth-child(5), :nth-child(7)) { display: none }
}
@media print { .grid figure { break-inside: avoid } }
"""


def facts(values: Mapping[str, Any]) -> str:
  """What a reader wants to know first: name and value."""
  pairs = ''.join(
    f'<div><dt>{escaped(k)}</dt><dd>{escaped(v)}</dd></div>'
    for k, v in values.items()
  )
  return f'<dl>{pairs}</dl>'


def wide(inside: str) -> str:
  """A part that moves sideways by itself where it is too wide."""
  return (
    '<div class="wide" role="region" aria-label="table" tabindex="0">'
    f'{inside}</div>'
  )


def grid(figures: Sequence[str]) -> str:
  """Figures beside each other where there is room."""
  return f'<div class="grid">{"".join(figures)}</div>'


def page(title: str, parts: Sequence[str]) -> str:
  """A page that needs no other file.

  Args:
    title: heading.
    parts: of HTML, such as `table` and `image` give.
  """
  broken = re.sub('([:/_])', r'\1<wbr>', escaped(title))
  return (
    f'<!doctype html><html lang="en"><meta charset="utf-8">'
    f'<meta name="viewport" content="width=device-width, initial-scale=1">'
    f'<title>{escaped(title)}</title><style>{_STYLE}</style>'
    f'<h1>{broken}</h1>{"".join(parts)}</html>\n'
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
