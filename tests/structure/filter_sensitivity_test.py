"""The loss of a network that lacks filters of one layer."""

import jax.numpy as jnp
import numpy as np
import pytest
from filter_norms_test import GRAPH, PARAMS, X, chain

import jcompress as jc

SCORES = jc.filter_norms(GRAPH, PARAMS)


def test_each_entry_is_the_loss_of_the_smaller_network():
  traces = []

  def loss_fn(params, x):
    traces.append(x.shape)
    y = chain(params, x)
    return jnp.mean(y**2), {'largest': jnp.abs(y).max()}

  scan = jc.filter_sensitivity(
    loss_fn, GRAPH, PARAMS, SCORES, [0.0, 0.3, 0.8], X
  )
  assert len(traces) == 1
  dense = float(np.mean(np.square(chain(PARAMS, X))))
  for row in scan.dense:
    np.testing.assert_allclose(row.loss, dense, rtol=1e-5)
  assert [(r.path, r.sparsity, r.kept) for r in scan.rows] == [
    ('k0:3', 0.0, 4),
    ('k0:3', 0.3, 2),
    ('k0:3', 0.8, 1),
    ('k1:3', 0.0, 5),
    ('k1:3', 0.3, 3),
    ('k1:3', 0.8, 1),
  ]
  for row in scan.rows:
    if row.sparsity:
      kept = jc.keep_filters(GRAPH, {row.path: SCORES[row.path]}, row.sparsity)
      plan = GRAPH.plan(kept)
      y = np.asarray(chain(jc.remove_channels(PARAMS, plan), X))
      np.testing.assert_allclose(row.loss, np.mean(y**2), rtol=1e-4)
      np.testing.assert_allclose(
        row.metrics['largest'], abs(y).max(), rtol=1e-4
      )
  assert 'k1:3' in str(scan) and '80.0 %' in str(scan)


@pytest.mark.parametrize(
  'sparsities, message', [([], 'no sparsities'), ([1.0], 'sparsity is 1.0')]
)
def test_bad_arguments_are_refused(sparsities, message):
  with pytest.raises(ValueError, match=message):
    jc.filter_sensitivity(lambda p: 0.0, GRAPH, PARAMS, SCORES, sparsities)
