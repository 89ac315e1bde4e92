"""The walk over a jaxpr, with rules made for the test."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.channels.analysis import Analysis
from jcompress.channels.tracked import Tracked


def same(analysis, site, arrays):
  del analysis, site
  return [arrays[0]]


def traced(f, *args):
  return jax.make_jaxpr(f)(*args)


def run(analysis, closed, arrays):
  constants = [analysis.constant('c', c) for c in closed.consts]
  return analysis.run(closed.jaxpr, constants, arrays)


def live(analysis, *sizes):
  store = analysis.store
  labels = tuple(store.fresh(n, anchored=True) for n in sizes)
  return Tracked(labels, (0.0,) * len(sizes))


def test_labels_flow_from_the_arguments_to_the_results():
  analysis = Analysis({'tanh': same, 'sin': same})
  x = live(analysis, 2, 3)
  closed = traced(lambda x: jnp.sin(jnp.tanh(x)), jnp.zeros((2, 3)))
  (out,), frame = run(analysis, closed, [x])
  assert out is x
  assert frame.arrays[closed.jaxpr.outvars[0]] is x


def test_what_has_no_rule_freezes_what_meets_it_and_is_named():
  analysis = Analysis({})
  x = live(analysis, 2, 3)
  (out,), _ = run(analysis, traced(jnp.tanh, jnp.zeros((2, 3))), [x])
  assert analysis.unknown == {'tanh': 1}
  assert not any(analysis.store.alive(axis).any() for axis in x.labels)
  assert 'no rule for this primitive' in analysis.store.reason(x.labels[0][0])
  assert out.shape == (2, 3)


def test_a_rule_that_misses_a_parameter_counts_as_none():
  def rule(analysis, site, arrays):
    return site.params['renamed']

  analysis = Analysis({'tanh': rule})
  x = live(analysis, 2)
  run(analysis, traced(jnp.tanh, jnp.zeros(2)), [x])
  assert analysis.unknown == {'tanh': 1}
  assert not analysis.store.alive(x.labels[0]).any()


def test_a_rule_of_the_wrong_shape_counts_as_none():
  analysis = Analysis({'tanh': lambda a, s, x: [a.opaque((7,))]})
  x = live(analysis, 2)
  run(analysis, traced(jnp.tanh, jnp.zeros(2)), [x])
  assert analysis.unknown == {'tanh': 1}


def test_reasons_name_the_primitive_the_shapes_and_the_line():
  analysis = Analysis({})
  x = live(analysis, 4)
  run(analysis, traced(lambda x: jnp.tanh(x), jnp.zeros(4)), [x])
  report = analysis.store.reason(x.labels[0][0])
  assert report.startswith('tanh([4])')
  assert 'analysis_test.py' in report


def test_a_constant_with_one_value_is_known():
  analysis = Analysis({})
  assert analysis.constant('c', np.full((2, 3), 5.0)).const == 5
  assert analysis.constant('c', np.arange(3)).const is None
  assert analysis.constant('c', np.zeros((0, 2))).const is None
  assert analysis.constant('c', jax.random.key(0)).const is None


@pytest.mark.parametrize('constants, free', [('cut', True), ('freeze', False)])
def test_constants_are_cut_or_freeze(constants, free):
  analysis = Analysis({}, constants=constants)
  c = analysis.constant('c', np.arange(3))
  assert analysis.store.alive(c.labels[0]).any() == free


@pytest.mark.parametrize(
  'masked, reason',
  [
    ([0.0, None], None),
    ([0.5, None], 'not provably 0'),
    ([0.0, np.inf], 'not finite'),
  ],
)
def test_a_sum_needs_masked_terms_that_vanish(masked, reason):
  analysis = Analysis({})
  labels = analysis.store.fresh(3)
  analysis.sum_over(labels, masked, 'here')
  assert analysis.store.alive(labels).all() == (reason is None)
  assert (reason or '') in analysis.store.reason(int(labels[0]))


def test_options_are_checked():
  with pytest.raises(ValueError, match='freeze, sum, exact'):
    Analysis({}, reductions='mean')
  with pytest.raises(ValueError, match='cut, freeze'):
    Analysis({}, constants='keep')
