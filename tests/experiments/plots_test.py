import builtins

import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import encoded
from jcompress.experiments import plots, results

TREE = {
  'kernel': encoded.Dense(jnp.linspace(-1.0, 1.0, 300)),
  'bias': encoded.Dense(jnp.ones(3)),
}


def test_sizes_has_two_bars_a_leaf():
  report = jc.report(TREE)
  (axes,) = plots.plot_sizes(report).axes
  widths = [bar.get_width() for bar in axes.patches]
  assert widths == [
    *(r.dense_bytes for r in report.rows),
    *(r.file_bytes for r in report.rows),
  ]


def test_training_puts_stages_one_after_the_other():
  records = [
    {'stage': 'dense', 'step': 10, 'loss': 2.0},
    {'stage': 'dense', 'step': 20, 'loss': 1.0},
    {'stage': 'dense', 'step': 20, 'test_error': 5.0},
    {'stage': 'prune', 'step': 10, 'loss': 0.5},
  ]
  (axes,) = plots.plot_training(records).axes
  dense, prune = axes.lines
  np.testing.assert_array_equal(dense.get_xdata(), [10, 20])
  np.testing.assert_array_equal(prune.get_xdata(), [30])


def test_weights_draws_only_leaves_with_enough_of_them():
  (axes,) = plots.plot_weights(TREE).axes
  _, labels = axes.get_legend_handles_labels()
  assert labels == ['kernel']


def test_sensitivity_has_a_curve_a_layer_from_dense_to_sparse():
  params = {'a': jnp.array([0.0, 1, 2, 3]), 'b': jnp.ones(2), 'c': jnp.ones(0)}
  loss_fn = lambda p: 10 - p['a'].sum() - p['b'].sum()
  scan = jc.sensitivity(loss_fn, params, [1.0, 0.5], pattern='.*')
  (axes,) = plots.plot_sensitivity(scan).axes
  a, b = axes.lines
  np.testing.assert_array_equal(a.get_xydata(), [[0.25, 2], [0.5, 3], [1, 8]])
  np.testing.assert_array_equal(b.get_xydata(), [[0, 2], [0.5, 3], [1, 4]])
  assert [line.get_label() for line in axes.lines] == ['a', 'b']


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
  real = builtins.__import__

  def no_matplotlib(name, *args, **kwargs):
    if name.startswith('matplotlib'):
      raise ImportError(name)
    return real(name, *args, **kwargs)

  monkeypatch.setattr(builtins, '__import__', no_matplotlib)
  with pytest.raises(ValueError, match=r'jcompress\[examples\]'):
    plots.figure()


def row(name, error, size):
  layers = {
    'params/fc/kernel': {'parameters': 100, 'nonzeros': 20, 'bytes': 25},
    'params/fc/bias': {'parameters': 4, 'nonzeros': 4, 'bytes': 16},
  }
  run = {'decoded': {'error': error}, 'bytes': size, 'layers': layers}
  return results.Row('family', name, 'digits', [run])


def test_the_front_is_of_rows_that_no_smaller_one_beats():
  rows = [row('a', 5.0, 100), row('b', 6.0, 200), row('c', 4.0, 300)]
  (axes,) = plots.plot_front(rows).axes
  *points, front = axes.lines
  assert [tuple(p.get_xydata()[0]) for p in points] == [
    (100, 5),
    (200, 6),
    (300, 4),
  ]
  np.testing.assert_array_equal(front.get_xydata(), [[100, 5], [300, 4]])
  assert [t.get_text() for t in axes.texts] == ['a', 'b', 'c']
  others = rows[0]._replace(family='other')
  (axes,) = plots.plot_front([others, rows[1]]).axes
  assert [t.get_text() for t in axes.texts] == ['other:a', 'family:b']


def test_layers_show_bits_and_nonzeros_of_kernels():
  bits, kept = plots.plot_layers([row('a', 5.0, 100), row('b', 6.0, 9)]).axes
  assert [t.get_text() for t in bits.texts] == ['2', '2']
  assert [t.get_text() for t in kept.texts] == ['20', '20']
  assert [t.get_text() for t in bits.get_xticklabels()] == ['fc']
