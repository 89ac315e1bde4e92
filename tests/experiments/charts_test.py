import xml.etree.ElementTree as ET

import pytest

from jcompress.experiments import charts, scales

FRAME = charts.Frame(scales.linear([10]), scales.linear([100]))
INNER = charts.WIDTH - charts.LEFT - charts.RIGHT


def parsed(marks):
  return list(ET.fromstring(f'<svg>{marks}</svg>'))


def test_ends_of_the_axes_are_the_ends_of_the_frame():
  assert FRAME.across(0) == charts.LEFT
  assert FRAME.across(10) == charts.WIDTH - charts.RIGHT
  assert FRAME.down(0) == FRAME.height - charts.BOTTOM
  assert FRAME.down(100) == charts.TOP


def test_columns_are_as_high_as_their_numbers():
  low, high = parsed(charts.columns(FRAME, [0, 5, 6, 10], [50, 0, 100]))
  assert float(low.get('width')) == pytest.approx(INNER / 2)
  assert float(high.get('width')) == pytest.approx(0.4 * INNER, abs=0.1)
  assert float(high.get('height')) == 2 * float(low.get('height'))


def test_lines_dots_and_spikes_are_where_their_values_are():
  at = f'{FRAME.across(5):.1f}', f'{FRAME.down(50):.1f}'
  (line,) = parsed(charts.line(FRAME, [(5, 50)]))
  (dot,) = parsed(charts.dots(FRAME, [(5, 50)]))
  (spike,) = parsed(charts.spikes(FRAME, [(5, 50)]))
  assert line.get('points') == ','.join(at)
  assert (dot.get('cx'), dot.get('cy')) == at
  assert spike.get('y') == at[1]


def test_numbers_of_near_points_do_not_lie_on_each_other():
  a, b, c = parsed(charts.values(FRAME, [(1, 50), (1.5, 50), (8, 50)]))
  assert float(a.get('y')) - float(b.get('y')) >= 13
  assert a.get('y') == c.get('y') and a.text == '50'


def test_parts_are_divided_and_those_with_room_are_named():
  marks = charts.dividers(FRAME, [('dense', 0, 9.9), ('share', 9.9, 10)])
  name, divider = parsed(marks)
  assert name.text == 'dense'
  assert divider.get('d').startswith(f'M{FRAME.across(9.9):.1f} ')


def test_bars_of_two_ends_have_the_longer_behind():
  marks, height = charts.bars([('a', '5', (10, 5)), ('b', '1', (1,))], FRAME.x)
  found = [x for x in parsed(marks) if x.tag == 'rect']
  assert [float(x.get('width')) for x in found] == [400, 200, 40]
  assert [x.get('class') for x in found] == ['bar pale', 'bar ', 'bar ']
  assert height > float(found[-1].get('y'))


def test_what_a_chart_says_is_escaped_and_comes_first():
  made = charts.chart('a<b', 'note', FRAME, '', 'one & two')
  caption, svg = ET.fromstring(made)
  assert caption[0].text == 'a<b' and svg.get('role') == 'img'
  assert svg[0].tag == 'title' and svg[0].text == 'one & two'
