"""Charts as SVG inside a page, in its colors and its type, of any width."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jcompress.experiments.scales import Scale
from jcompress.html_table import escaped

WIDTH = 400  # of the coordinates; a page makes it as wide as there is room
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 20, 36
_ROW = 34  # of bars

Point = tuple[float, float]


class Frame(NamedTuple):
  """Where the values of a chart lie.

  Attributes:
    x: the axis below.
    y: the axis on the left.
    height: of the chart, in units of `WIDTH`.
  """

  x: Scale
  y: Scale
  height: float = 220

  def across(self, value: float) -> float:
    return LEFT + self.x.share(value) * (WIDTH - LEFT - RIGHT)

  def down(self, value: float) -> float:
    room = self.height - TOP - BOTTOM
    return self.height - BOTTOM - self.y.share(value) * room


def chart(title: str, note: str, frame: Frame, marks: str, says: str) -> str:
  """A chart: its axes, and the marks on them.

  Args:
    title: what it shows.
    note: what the marks are.
    frame: its axes.
    marks: SVG, as of `line` and its neighbours.
    says: the same for those who do not see it.
  """
  axes = ''.join(
    f'<path class="grid" d="M{LEFT} {frame.down(t):.1f}H{WIDTH - RIGHT}"/>'
    + text(LEFT - 6, frame.down(t) + 4, frame.y.show(t), 'end')
    for t in frame.y.ticks
  )
  base = frame.height - BOTTOM
  places = [frame.across(t) for t in frame.x.ticks]
  for place, tick in zip(places, frame.x.ticks, strict=True):
    axes += f'<path class="axis" d="M{place:.1f} {base}v4"/>'
    is_last = place > WIDTH - RIGHT - 12
    at, anchor = (WIDTH, 'end') if is_last else (place, 'middle')
    axes += text(at, base + 17, frame.x.show(tick), anchor)
  axes += f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>'
  middle = (LEFT + WIDTH - RIGHT) / 2
  axes += text(0, 10, frame.y.label, 'start')
  axes += text(middle, frame.height - 4, frame.x.label, 'middle')
  return figure(title, note, axes + marks, frame.height, says)


def figure(title: str, note: str, inside: str, height: float, says: str) -> str:
  """A picture under its title, `WIDTH` wide."""
  return (
    f'<figure><figcaption><b>{escaped(title)}</b>'
    f'<span>{escaped(note)}</span></figcaption>'
    f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img">'
    f'<title>{escaped(says)}</title>{inside}</svg></figure>'
  )


def text(x: float, y: float, words: str, anchor: str, kind: str = '') -> str:
  """Text that begins, ends or has its middle at a place, on a line."""
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
    f'{escaped(words)}</text>'
  )


def line(frame: Frame, points: Sequence[Point], kind: str = '') -> str:
  """A line through points of values."""
  places = ' '.join(
    f'{frame.across(x):.1f},{frame.down(y):.1f}' for x, y in points
  )
  return f'<polyline class="line {kind}" points="{places}"/>'


def dots(frame: Frame, points: Sequence[Point], kind: str = '') -> str:
  """A dot at each of some values."""
  return ''.join(
    f'<circle class="dot {kind}" cx="{frame.across(x):.1f}" '
    f'cy="{frame.down(y):.1f}" r="4"/>'
    for x, y in points
  )


def values(frame: Frame, points: Sequence[Point]) -> str:
  """The number at each of some points, above it and off the one before."""
  marks, taken = '', (-float(WIDTH), 0.0)
  for x, y in points:
    across = min(frame.across(x), WIDTH - 12)
    down = frame.down(y) - 8
    if across - taken[0] < 36:
      down = min(down, taken[1] - 13)
    marks += text(across, down, f'{y:.3g}', 'middle')
    taken = across, down
  return marks


def columns(
  frame: Frame, edges: Sequence[float], heights: Sequence[float]
) -> str:
  """A histogram: a column between every two edges."""
  places, base = [frame.across(e) for e in edges], frame.height - BOTTOM
  return ''.join(
    box(left, frame.down(h), right - left, base - frame.down(h))
    for left, right, h in zip(places[:-1], places[1:], heights, strict=True)
    if h
  )


def spikes(frame: Frame, points: Sequence[Point]) -> str:
  """A thin column at each of some values, and its place below."""
  base = frame.height - BOTTOM
  return ''.join(
    box(frame.across(x) - 1.25, frame.down(y), 2.5, base - frame.down(y))
    for x, y in points
  )


def levels(frame: Frame, values: Iterable[float]) -> str:
  """Short strokes at the foot of a chart, one at each of some values."""
  base = frame.height - BOTTOM
  strokes = ''.join(f'M{frame.across(v):.1f} {base - 1}v6' for v in values)
  return f'<path class="level" d="{strokes}"/>'


def dividers(frame: Frame, parts: Sequence[tuple[str, float, float]]) -> str:
  """Hairlines between parts of the axis below, named where there is room.

  Args:
    frame: of the chart.
    parts: name, and where it begins and ends.
  """
  marks = ''
  for name, start, end in parts:
    left, right = frame.across(start), frame.across(end)
    if start > frame.x.low:
      foot = frame.height - BOTTOM
      marks += f'<path class="divider" d="M{left:.1f} {TOP}V{foot}"/>'
    if right - left > 6.5 * len(name):
      middle = (left + right) / 2
      marks += text(middle, TOP - 6, name, 'middle', 'part')
  return marks


def bars(
  rows: Sequence[tuple[str, str, Sequence[float]]], scale: Scale
) -> tuple[str, float]:
  """Lying bars, a row each, under the name and the numbers of the row.

  Args:
    rows: name, numbers as text, and the ends of one bar or two: of the pale one
      behind, which is longer, and of the one before it.
    scale: of all.

  Returns:
    SVG, and its height.
  """
  across = lambda value: scale.share(value) * WIDTH
  foot = _ROW * len(rows) + 2
  inside = ''.join(
    f'<path class="grid" d="M{across(t):.1f} 0V{foot}"/>' for t in scale.ticks
  )
  for i, (name, numbers, ends) in enumerate(rows):
    y = _ROW * i
    inside += text(0, y + 14, name, 'start', 'name')
    inside += text(WIDTH, y + 14, numbers, 'end', 'number')
    for kind, end in zip(('pale', '')[-len(ends) :], ends, strict=True):
      inside += box(0, y + 19, across(end), 8, kind)
  for tick in scale.ticks[:: -(-len(scale.ticks) // 6)]:
    place = across(tick)
    anchor = 'start' if place < 1 else 'end' if place > WIDTH - 9 else 'middle'
    inside += text(place, foot + 16, scale.show(tick), anchor)
  return inside, foot + 20


def box(x: float, y: float, width: float, height: float, kind: str = '') -> str:
  """A filled rectangle."""
  return (
    f'<rect class="bar {kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.2f}" '
    f'height="{height:.2f}"/>'
  )
