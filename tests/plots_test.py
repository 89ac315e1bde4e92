import builtins

import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import encoded, plots

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


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
  real = builtins.__import__

  def no_matplotlib(name, *args, **kwargs):
    if name.startswith('matplotlib'):
      raise ImportError(name)
    return real(name, *args, **kwargs)

  monkeypatch.setattr(builtins, '__import__', no_matplotlib)
  with pytest.raises(ValueError, match=r'jcompress\[examples\]'):
    plots.figure()
