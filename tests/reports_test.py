import io
import json

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import jcompress as jc
from jcompress import encoded, reports

MASK = jnp.arange(400).reshape(20, 20) % 10 == 0
TREE = {
  'a': {
    'kernel': encoded.Sparse(jnp.arange(400.0).reshape(20, 20) + 1, MASK),
    'bias': encoded.Dense(jnp.arange(3.0)),
  },
  'b': encoded.Codebook(
    jnp.array([0.0, 2.0]), jnp.tile(jnp.array([0, 1]), 500)
  ),
}


def test_rows_are_measured_on_what_is_decoded():
  rows = {r.path: r for r in jc.report(TREE).rows}
  assert list(rows) == ['a/bias', 'a/kernel', 'b']
  kernel = rows['a/kernel']
  assert (kernel.kind, kernel.shape) == ('Sparse', (20, 20))
  assert (kernel.parameters, kernel.nonzeros) == (400, 40)
  assert kernel.dense_bytes == 1600
  assert rows['a/bias'].nonzeros == 2
  assert rows['b'].entropy_bits == 2 * 32 + 1000
  np.testing.assert_allclose(
    kernel.bits_per_weight, 8 * kernel.file_bytes / 400
  )


def test_the_total_is_the_length_of_the_file(tmp_path):
  data = jc.pack(TREE)
  path = tmp_path / 'net.jcz'
  path.write_bytes(data)
  for source in (TREE, data, jc.unpack(data), path, str(path)):
    report = jc.report(source)
    assert report.total.file_bytes == len(data)
    assert report.total.parameters == 1403
    np.testing.assert_allclose(report.total.ratio, 4 * 1403 / len(data))


def test_tied_leaves_count_once():
  leaf = encoded.Dense(jnp.arange(100.0))
  report = jc.report({'in': leaf, 'out': leaf})
  assert [r.parameters for r in report.rows] == [100, 0]
  assert report.total.parameters == 100


def test_leaves_whose_paths_read_alike_are_two():
  ones = encoded.Dense(jnp.ones(1000))
  tree = {
    'a': {'b/kernel': ones},
    'a/b': {'kernel': encoded.Dense(-jnp.ones(9))},
  }
  report = jc.report(tree)
  assert [r.parameters for r in report.rows] == [1000, 9]
  assert report.total.parameters == 1009
  assert report.total.file_bytes == len(jc.pack(tree))
  assert report.overhead > 30


@pytest.mark.parametrize('width', [120, 80, 60, 20])
def test_numbers_are_whole_at_any_width(width):
  kernel = {'kernel': encoded.Dense(jnp.full((1200, 1000), 0.5))}
  tree = {
    f'encoder_{i}': {'layer': {'attention': {'query_projection': kernel}}}
    for i in range(11)
  }
  report = jc.report(tree)
  console = Console(width=width, file=io.StringIO(), record=True)
  console.print(report.table(width), crop=False, soft_wrap=True)
  text = console.export_text()
  lines = [line for line in text.splitlines() if 'kernel' in line]
  assert len({line.split()[0] for line in lines}) == 11
  *_, total = text.splitlines()
  numbers = report.total
  for number in (numbers.parameters, numbers.file_bytes):
    assert f'{number:,}' in total
  assert f'{numbers.ratio:.1f}x' in total
  if width >= 80:
    assert max(map(len, text.splitlines())) <= width


def test_text_and_json_hold_every_row():
  report = jc.report(TREE)
  text = str(report)
  for word in ('a/kernel', '20x20', '10.0 %', 'total', f'{report.overhead:,}'):
    assert word in text
  assert max(map(len, text.splitlines())) <= reports.WIDTH
  numbers = json.loads(json.dumps(report.to_dict()))
  assert numbers['rows'][1]['nonzeros'] == 40
  assert numbers['total']['file_bytes'] == len(jc.pack(TREE))


def test_zero_size_and_scalar_leaves_have_rows():
  report = jc.report(
    {'e': encoded.Dense(jnp.ones((0, 3))), 's': encoded.Dense(jnp.float32(2))}
  )
  assert [r.parameters for r in report.rows] == [0, 1]
  assert '0x3' in str(report)


def test_params_that_were_not_encoded_are_refused():
  with pytest.raises(ValueError, match='Not an encoded tree'):
    jc.report({'w': jnp.ones(3)})


def test_a_notebook_shows_every_row_escaped():
  report = jc.report({'a<b': TREE['b'], 'c': encoded.Dense(jnp.ones(3))})
  html = report._repr_html_()
  assert html.count('<tr>') == 1 + 2 + 2  # head, leaves, header and total
  assert '<td>a&lt;b</td>' in html and 'a<b' not in html
  assert f'<td>{report.total.file_bytes:,}</td>' in html
