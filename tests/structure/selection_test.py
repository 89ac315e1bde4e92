"""Which units of a group are kept, given their scores."""

import jax.numpy as jnp
import numpy as np
import pytest
from zoo import normal, weights

from jcompress import channel_groups, select_units

GRAPH = channel_groups(
  lambda p, x: jnp.tanh(x @ p['v']) @ p['w'],
  weights(v=(3, 8), w=(8, 2)),
  normal(2, 3),
)
GROUP = GRAPH.groups['v:1']
SCORES = [3.0, 1, 2, 2, 5, 0, 2, 4]


@pytest.mark.parametrize(
  'options, kept',
  [
    (dict(count=3), [0, 4, 7]),
    (dict(count=4), [0, 2, 4, 7]),  # of equal scores the first
    (dict(sparsity=0.5), [0, 2, 4, 7]),
    (dict(sparsity=0.5, multiple_of=3), [0, 2, 3, 4, 6, 7]),
    (dict(sparsity=0.99), [4]),
    (dict(sparsity=0.0), list(range(8))),
    (dict(count=7, multiple_of=8), list(range(8))),
    (dict(count=8, multiple_of=3), list(range(8))),
  ],
)
def test_the_best_units_are_kept_in_their_order(options, kept):
  assert select_units(GROUP, SCORES, **options).tolist() == kept


def test_the_result_is_a_plan():
  plan = GRAPH.plan({'v:1': select_units(GROUP, np.arange(8), count=2)})
  assert plan.keep['v:1'].tolist() == [6, 7]


@pytest.mark.parametrize(
  'options, message',
  [
    ({}, 'exactly one'),
    (dict(count=3, sparsity=0.1), 'exactly one'),
    (dict(sparsity=1.0), 'sparsity is 1.0'),
    (dict(sparsity=-0.1), 'sparsity is -0.1'),
    (dict(count=0), 'count is 0'),
    (dict(count=9), 'count is 9'),
    (dict(count=1, multiple_of=0), 'multiple_of is 0'),
  ],
)
def test_wrong_options_are_refused(options, message):
  with pytest.raises(ValueError, match=message):
    select_units(GROUP, SCORES, **options)


@pytest.mark.parametrize(
  'scores, message',
  [
    (np.ones(7), r"'v:1' has 8 units; the scores have shape \(7,\)"),
    (np.full(8, np.nan), 'NaN or inf'),
    (np.array([np.inf] + [0] * 7), 'NaN or inf'),
  ],
)
def test_wrong_scores_are_refused(scores, message):
  with pytest.raises(ValueError, match=message):
    select_units(GROUP, scores, count=2)
