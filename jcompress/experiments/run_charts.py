"""How the training of a run went, and where the bytes of its file are."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jcompress.experiments import charts, scales
from jcompress.patterns import natural, shortened
from jcompress.planning.plan import Plan
from jcompress.reports import Report

_LEAVES = 24  # that have bars of their own


class Curve(NamedTuple):
  """A number over the steps of all stages.

  Attributes:
    trained: of training batches, by stage: steps and values.
    tested: after each stage.
  """

  trained: dict[str, list[charts.Point]]
  tested: list[charts.Point]


def training(records: Sequence[Mapping[str, Any]]) -> list[str]:
  """A chart of each number that a run has written on its way.

  Stages lie one after the other. Numbers that are measured after stages only,
  but for the bits, have no chart.

  Args:
    records: the lines of `metrics.jsonl`, in their order.
  """
  parts, end = [], 0
  for name in dict.fromkeys(r['stage'] for r in records):
    steps = max(r['step'] for r in records if r['stage'] == name)
    parts.append((name, end, end + steps))
    end += steps
  if not end:
    return []
  across = scales.until(end, 'step of training')
  found = _curves(records, {name: start for name, start, _ in parts})
  return [
    _chart(name, curve, across, [p for p in parts if p[2] > p[1]])
    for name, curve in found.items()
  ]


def _curves(records, starts):
  """The numbers that are written more than once and are finite, by name."""
  found: dict[str, Curve] = {}
  for r in records:
    stage, place = r['stage'], starts[r['stage']] + r['step']
    is_tested = 'test' in r
    for name, value in {**r, **r.get('test', {})}.items():
      if name in ('stage', 'step', 'test', 'penalty'):
        continue
      if not isinstance(value, (int, float)) or not math.isfinite(value):
        continue
      curve = found.setdefault(name, Curve({}, []))
      if is_tested:
        curve.tested.append((place, value))
      else:
        curve.trained.setdefault(stage, []).append((place, value))
  order = lambda name: _ORDER.get(name, 2)
  return {
    name: found[name]
    for name in sorted(found, key=order)
    if _has_line(name, found[name])
  }


def _has_line(name, curve):
  count = sum(map(len, curve.trained.values()))
  return count > 1 or (name == 'bits' and len(curve.tested) > 1)


def _chart(name, curve, across, parts):
  lines = [*curve.trained.values(), curve.tested]
  values = [y for line in lines for _, y in line]
  title, note = _WORDS.get(name, (name.capitalize(), _BOTH))
  if name == 'loss' and 0 < 10 * min(values) < max(values):
    down = scales.logarithmic(values)
  else:
    down = scales.linear([100] if name == 'sparsity' else values)
  frame = charts.Frame(across, down)
  marks = charts.dividers(frame, parts)
  marks += ''.join(charts.line(frame, p) for p in curve.trained.values())
  if name == 'bits':
    marks += charts.spikes(frame, curve.tested)
    marks += charts.values(frame, curve.tested)
  marks += charts.dots(frame, curve.tested)
  ends = ', '.join(f'{y:.4g}' for _, y in curve.tested)
  says = f'{title}, over the steps of training.'
  if ends:
    says += f' After the stages: {ends}.'
  return charts.chart(title, note, frame, marks, says)


_BOTH = 'line: one training batch; dots: all test examples'
_ORDER = {'error': 0, 'loss': 1, 'sparsity': 3, 'bits': 4}
_WORDS = {
  'error': ('Error, %', _BOTH),
  'loss': ('Loss, nats', _BOTH),
  'sparsity': ('Sparsity, %', 'weights of the kernels that are zero'),
  'bits': ('Bits a weight', 'entropy of what each stage would ship'),
}


def leaves(report: Report) -> list[str]:
  """Bars of the bytes of each leaf, and of the bits of each of its weights.

  Of many, those that take most bytes have bars of their own.
  """
  rows = [r for r in report.rows if r.file_bytes and r.dense_bytes]
  if not rows:
    return []
  largest = sorted(rows, key=lambda r: -r.file_bytes)[:_LEAVES]
  shown = sorted(largest, key=lambda r: natural(r.path))
  rows = shown + _others(rows, largest)
  sizes = [(r.file_bytes, r.dense_bytes) for r in rows]
  scale = scales.logarithmic([1, *(b for both in sizes for b in both)])
  texts = [f'{r.file_bytes:,} B, {r.ratio:.1f}x' for r in rows]
  bits = [r.bits_per_weight for r in rows]
  return [
    _bars(
      'Bytes of each leaf',
      'dark: in the file; pale: as float32; logarithmic',
      [(large, small) for small, large in sizes],
      scale._replace(show=lambda b: f'{in_words(b)}B'),
      rows,
      texts,
    ),
    _bars(
      'Bits a weight in the file',
      'codes, masks, codebooks and headers over all weights, zeros too',
      [(b,) for b in bits],
      scales.linear(bits),
      rows,
      [f'{r.kind} {r.bits_per_weight:.2f}' for r in rows],
    ),
  ]


def _others(rows, largest):
  rest = tuple(r for r in rows if r not in largest)
  if not rest:
    return []
  name = f'{len(rest)} smaller leaves'
  return [dataclasses.replace(Report(rest, 0).total, path=name)]


def _bars(title, note, ends, scale, rows, texts):
  names = [shortened(r.path, 34) for r in rows]
  inside, height = charts.bars(
    list(zip(names, texts, ends, strict=True)), scale
  )
  each = '; '.join(f'{r.path} {t}' for r, t in zip(rows, texts, strict=True))
  return charts.figure(title, note, inside, height, f'{title}: {each}.')


def tried(plan: Plan) -> str:
  """The error over the bytes of all that was measured for a plan.

  Nothing if less than two networks were measured that have an error.
  """
  points = [(p.size, p.error) for p in plan.points if p.size > 0 < p.error]
  if len(points) < 2:
    return ''
  across, down = (scales.logarithmic(x) for x in zip(*points, strict=True))
  show = lambda b: f'{in_words(b)}B'
  frame = charts.Frame(across._replace(label='in the file', show=show), down)
  marks = charts.line(frame, sorted(points))
  if plan.size > 0 < plan.error:
    marks += charts.dots(frame, [(plan.size, plan.error)])
  says = (
    f'{len(points)} networks; chosen: {plan.size:,} bytes, {plan.error:.3g}.'
  )
  note = 'line: networks that were tried; dot: the plan'
  return charts.chart('Error of the metric', note, frame, marks, says)


def in_words(number: float) -> str:
  """A number in three digits, with a letter for thousands.

  >>> in_words(10), in_words(123_456), in_words(1e6)
  ('10 ', '123 k', '1 M')
  """
  for unit, letter in ((1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
    if number >= unit:
      return f'{number / unit:.3g} {letter}'
  return f'{number:g} '
