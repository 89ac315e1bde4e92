import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.prune.sensitivity import Pruned


def params():
  return {
    'fc1': {
      'kernel': jnp.array([[3.0, -1.0], [0.0, 2.0]]),
      'bias': jnp.ones(2),
    },
    'fc2': {'kernel': jnp.array([[4.0, -5.0]]).T},
  }


def removed(w):
  """The squares of what pruning took."""
  gaps = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), w, params())
  return sum(jax.tree.leaves(gaps))


def test_each_layer_is_pruned_alone_by_magnitude():
  scan = jc.sensitivity(removed, params(), [0.25, 0.5, 1.0])
  assert scan.rows == (
    # One weight of fc1 is zero already.
    Pruned('fc1/kernel', 4, 0.25, 3, 0.0, {}),
    Pruned('fc1/kernel', 4, 0.5, 2, 1.0, {}),
    Pruned('fc1/kernel', 4, 1.0, 0, 14.0, {}),
    Pruned('fc2/kernel', 2, 0.25, 2, 0.0, {}),
    Pruned('fc2/kernel', 2, 0.5, 1, 16.0, {}),
    Pruned('fc2/kernel', 2, 1.0, 0, 41.0, {}),
  )
  assert [(r.kept, r.loss) for r in scan.dense] == [(3, 0.0), (2, 0.0)]


def test_one_trace_serves_all_layers_and_sparsities():
  traces = []

  def loss_fn(w, shift):
    traces.append(shift)
    return removed(w) + shift, {'twice': 2 * removed(w)}

  grid = np.linspace(0, 1, 7)
  scan = jc.sensitivity(loss_fn, params(), grid, jnp.float32(1))
  assert len(traces) == 1 and len(scan.rows) == 14
  assert all(r.metrics['twice'] == 2 * (r.loss - 1) for r in scan.rows)


def test_scores_choose_what_goes():
  scores = jax.tree.map(lambda w: 1 / (1 + w**2), params())
  scan = jc.sensitivity(removed, params(), [0.5], scores=scores)
  # The largest of each layer; of fc1 the zero counts, too.
  assert [r.loss for r in scan.rows] == [9.0, 25.0]
  zero = jax.tree.map(jnp.zeros_like, params())
  scan = jc.sensitivity(
    removed, params(), [0.25], scores=zero, pattern='fc1.*l'
  )
  assert [(r.kept, r.loss) for r in scan.rows] == [(3, 0.0)]


def test_half_precision_and_empty_layers():
  w = {'a': jnp.zeros((0, 4)), 'b': jnp.array([1.0, 2.0], jnp.bfloat16)}
  scan = jc.sensitivity(lambda w: w['b'].sum(), w, [0.5], pattern='.*')
  assert [(r.kept, r.loss) for r in scan.rows] == [(0, 3.0), (1, 2.0)]


def test_the_table_and_the_dictionary_hold_all_rows():
  loss_fn = lambda w: (removed(w), {'error': removed(w) / 8})
  scan = jc.sensitivity(loss_fn, params(), [0.5, 1.0])
  lines = [line.split() for line in str(scan).splitlines()]
  assert lines[1] == ['layer', 'sparsity', 'kept', 'loss', 'error']
  assert ['fc1/kernel', '50.0', '%', '2', '1', '0.125'] in lines
  assert ['fc2/kernel', '-', '2', '0', '0'] in lines
  found = scan.to_dict()
  assert found['rows'][3] == {
    'path': 'fc2/kernel',
    'size': 2,
    'sparsity': 1.0,
    'kept': 0,
    'loss': 41.0,
    'metrics': {'error': 5.125},
  }
  assert len(found['dense']) == 2 and len(found['rows']) == 4


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'sparsities': []}, 'fractions in 0 .. 1'),
    ({'sparsities': [0.5, 1.5]}, 'sparsities are'),
    ({'pattern': 'conv.*'}, 'matches no leaf'),
    ({'scores': {'fc1': {'kernel': jnp.ones((2, 2))}}}, 'fc2/kernel is'),
    ({'scores': jax.tree.map(lambda w: -w, params())}, 'finite and >= 0'),
  ],
)
def test_wrong_input_is_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.sensitivity(removed, params(), **{'sparsities': [0.5]} | arguments)


def test_a_curve_of_another_layer_is_refused():
  with pytest.raises(ValueError, match='only: fc1/kernel, fc2/kernel'):
    jc.sensitivity(removed, params(), [0.5]).curve('fc3/kernel')


def test_a_notebook_shows_what_the_terminal_shows():
  w = {'a<b': {'kernel': jnp.array([1.0, 2.0])}}
  loss_fn = lambda w: (w['a<b']['kernel'].sum(), {'<error>': jnp.float32(7)})
  html = jc.sensitivity(loss_fn, w, [0.5])._repr_html_()
  assert '<th>&lt;error&gt;</th>' in html and 'a<b' not in html
  for cells in (('-', '2', '3', '7'), ('50.0 %', '1', '2', '7')):
    row = ''.join(f'<td>{c}</td>' for c in ('a&lt;b/kernel', *cells))
    assert f'<tr>{row}</tr>' in html
