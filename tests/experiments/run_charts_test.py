import re

import jax.numpy as jnp

import jcompress as jc
from jcompress import encoded
from jcompress.experiments import run_charts
from jcompress.planning.plan import Point

RECORDS = [
  {'stage': 'dense', 'step': 10, 'loss': 2.0, 'sparsity': 0.0, 'penalty': 0.0},
  {'stage': 'dense', 'step': 20, 'loss': 0.1, 'sparsity': 0.0, 'penalty': 0.0},
  {'stage': 'dense', 'step': 20, 'test': {'loss': 0.5, 'x': 3}, 'bits': 32.0},
  {'stage': 'cut', 'step': 0, 'test': {'loss': 0.6}},
  {'stage': 'prune', 'step': 20, 'loss': float('nan'), 'sparsity': 90.0},
  {'stage': 'prune', 'step': 20, 'test': {'loss': 0.4}, 'bits': 3.5},
]


def titles(charts):
  return [re.search('<b>(.*?)</b>', chart)[1] for chart in charts]


def test_each_number_that_was_written_on_the_way_has_a_chart():
  loss, sparsity, bits = run_charts.training(RECORDS)
  names = ['Loss, nats', 'Sparsity, %', 'Bits a weight']
  assert titles([loss, sparsity, bits]) == names
  assert 'After the stages: 0.5, 0.6, 0.4.' in loss
  assert loss.count('<circle') == 3 and loss.count('<polyline') == 1
  assert '>0.1</text>' in loss and '>10</text>' in loss  # over a decade
  ends = [p.split()[-1] for p in re.findall('points="(.*?)"', sparsity)]
  assert [float(p.split(',')[0]) for p in ends] == [217.0, 388.0]
  assert '32</text>' in bits and '3.5</text>' in bits


def test_a_run_without_steps_has_no_charts():
  assert run_charts.training([]) == []
  assert run_charts.training([{'stage': 'a', 'step': 0, 'test': {}}]) == []


def test_leaves_have_bars_and_the_smallest_of_many_share_one():
  leaves = {f'w{i}': encoded.Dense(jnp.arange(i + 1.0)) for i in range(30)}
  report = jc.report(leaves)
  sizes, bits = run_charts.leaves(report)
  assert titles([sizes, bits]) == [
    'Bytes of each leaf',
    'Bits a weight in the file',
  ]
  assert '6 smaller leaves' in sizes and '>w5<' not in sizes
  assert sizes.index('>w6<') < sizes.index('>w10<') < sizes.index('>w29<')
  assert sizes.count('class="bar pale"') == 25
  assert f'{report.rows[-1].file_bytes:,} B, ' in sizes


def test_what_a_plan_tried_is_a_curve_and_what_it_chose_a_dot():
  points = Point(1000, 0.5), Point(90_000, 0.0), Point(5000, 0.01)
  chart = run_charts.tried(jc.Plan({}, 5000, 0.01, points))
  assert '2 networks; chosen: 5,000 bytes, 0.01.' in chart
  (line,) = re.findall('points="(.*?)"', chart)
  assert len(line.split()) == 2 and chart.count('<circle') == 1
  assert run_charts.tried(jc.Plan({}, 5000, 0.01)) == ''
