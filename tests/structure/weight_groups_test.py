"""Which entries a group has, by axes and by the units of a network."""

import jax.numpy as jnp
import numpy as np
import pytest
import zoo_modules
from zoo import normal, weights

from jcompress import axis_groups, channel_groups, unit_groups
from jcompress.structure.weight_groups import grouping, live_entries

KERNEL = jnp.ones((2, 3, 4, 5))  # height, width, in, out


def bound(kind, params):
  names = list(params)
  return grouping(kind)(names, [np.shape(params[n]) for n in names])


def leaves(params):
  return [jnp.asarray(x) for x in params.values()]


@pytest.mark.parametrize(
  'kind, count, size',
  [
    ('filters', 5, 24),
    ('channels', 4, 30),
    ('positions', 24, 5),
    ('layer', 1, 120),
    (axis_groups(-2, -1), 20, 6),
  ],
)
def test_sizes_of_a_kernel_of_ones(kind, count, size):
  (groups,) = bound(kind, {'k': KERNEL})
  assert groups.sizes.size == count and (groups.sizes == size).all()
  sums = groups.sums([KERNEL])
  assert sums.shape == groups.sizes.shape
  np.testing.assert_array_equal(sums, groups.sizes)


def test_positions_of_a_known_kernel():
  """Filters first in the paper: K = 1 .. 8 as (t, s, pos)."""
  kernel = np.arange(1, 9, dtype=np.float32).reshape(2, 2, 2)
  kernel = jnp.asarray(kernel.transpose(2, 1, 0))  # pos, s, t
  (groups,) = bound('positions', {'k': kernel})
  norms = np.sqrt(np.asarray(groups.sums([kernel**2])))[..., 0].T
  want = [[5.0990, 6.3246], [7.6158, 8.9443]]
  np.testing.assert_allclose(norms, want, atol=5e-5)
  np.testing.assert_allclose(norms.sum(), 27.983620, rtol=1e-6)


def test_spread_zeroes_one_position_for_all_filters():
  (groups,) = bound('positions', {'k': KERNEL})
  values = jnp.ones(groups.sizes.shape).at[1, 2, 3].set(0)
  masked = KERNEL * groups.spread(values, [KERNEL])[0]
  assert not masked[1, 2, 3].any() and masked.sum() == KERNEL.size - 5


def mlp(p, x):
  return jnp.tanh(x @ p['v'] + p['b']) @ p['w']


PARAMS = weights(v=(3, 5), b=(5,), w=(5, 2))


def test_a_neuron_is_its_incoming_weights_and_its_bias():
  graph = channel_groups(mlp, PARAMS, normal(2, 3))
  (groups,) = bound(unit_groups(graph), PARAMS)
  assert groups.sizes.tolist() == [4] * 5  # 3 weights and a bias
  assert set(groups.spread(jnp.ones(5), leaves(PARAMS))) == {0, 1}
  (groups,) = bound(unit_groups(graph, outgoing=True), PARAMS)
  assert groups.sizes.tolist() == [6] * 5


def test_a_transposed_kernel_is_cut_along_its_outputs():
  net = zoo_modules.conv_transpose_flipped()
  graph = channel_groups(net.apply, net.params, *net.inputs)
  kernel = net.params['params']['ConvTranspose_0']['kernel']  # 3, 3, out, in
  kind = unit_groups(graph, names='.*ConvTranspose.*')
  (groups,) = bound(kind, {'ConvTranspose_0/kernel': kernel})
  assert groups.sizes.tolist() == [3 * 3 * 4] * 5


def test_paths_with_and_without_the_collection_are_the_same():
  f = lambda v, x: jnp.tanh(x @ v['params']['v']) @ v['params']['w']
  params = weights(v=(3, 5), w=(5, 2))
  graph = channel_groups(f, {'params': params}, normal(2, 3))
  (groups,) = bound(unit_groups(graph), params)
  assert groups.sizes.tolist() == [3] * 5


def test_leaves_that_are_not_given_do_not_count():
  graph = channel_groups(mlp, PARAMS, normal(2, 3))
  (groups,) = bound(unit_groups(graph), {'v': PARAMS['v']})
  assert groups.sizes.tolist() == [3] * 5


def test_biases_may_leave_zero_unless_their_unit_is_zero():
  f = lambda p, x: mlp(p, x) + p['c']
  params = {
    'v': np.array([[1, 0, 0], [2, 3, 0]], 'f4'),
    'b': np.zeros(3, 'f4'),
    'w': np.ones((3, 2), 'f4'),
    'c': np.zeros(2, 'f4'),
  }
  graph = channel_groups(f, params, normal(2, 2))
  live = live_entries(bound(unit_groups(graph), params), leaves(params))
  assert live[0].tolist() == [[True, False, False], [True, True, False]]
  assert live[1].tolist() == [True, True, False]
  assert live[3].tolist() == [True, True]
  groups, zeros = bound('filters', {'b': jnp.zeros(3)}), [jnp.zeros(3)]
  assert np.all(live_entries(groups, zeros)[0])
  assert not np.any(live_entries(groups, zeros, keep_zeros=True)[0])


GRAPH = channel_groups(
  lambda p, x: jnp.tanh(x @ p['v']) @ p['w'],
  weights(v=(3, 8), w=(8, 2)),
  normal(2, 3),
)


@pytest.mark.parametrize(
  'make, shapes, message',
  [
    (lambda: grouping('rows'), {}, "groups is 'rows'.*filters, channels"),
    (lambda: grouping('positions'), {'b': (3,)}, 'b of shape .3. has no pos'),
    (lambda: grouping('channels'), {'b': (3,)}, 'no groups along .*-2'),
    (lambda: axis_groups(4), {'k': (3, 2)}, 'no groups along .*4'),
    (lambda: unit_groups(GRAPH, names='q'), {}, "'q' matches no group of: v:1"),
    (lambda: unit_groups(GRAPH), {'z': (3, 8)}, 'z .*not one leaf.*v, w'),
    (lambda: unit_groups(GRAPH), {'v': (3, 7)}, 'v of shape .3, 7. is not'),
    (lambda: unit_groups(GRAPH), {'w': (8, 2)}, 'None of w is in a group'),
  ],
)
def test_bad_input_is_refused(make, shapes, message):
  with pytest.raises(ValueError, match=message):
    make()(list(shapes), list(shapes.values()))
