import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jcompress.prune import densities


def form(*shapes):
  return [jax.ShapeDtypeStruct(shape, 'float32') for shape in shapes]


LENET = form((784, 300), (300, 100), (100, 10))


def test_erdos_renyi_kernel_of_lenet_300_100_at_ninety_percent():
  got = densities.erdos_renyi_kernel(LENET, 0.9)
  np.testing.assert_allclose(got, [0.079568, 0.230189, 1], atol=5e-7)
  eps = [d * x.size / sum(x.shape) for d, x in zip(got, LENET, strict=True)]
  np.testing.assert_allclose(eps[:2], 17.26415, rtol=1e-6)


def test_counts_of_lenet_300_100_add_up_to_the_sparsity():
  counts = densities.active_counts(LENET, 0.9, 'erdos_renyi_kernel')
  assert counts == [18714, 6906, 1000]
  assert sum(counts) == 26620
  assert densities.active_counts(LENET, 0.9, 'uniform') == [23520, 3000, 100]


def test_windows_of_convolutions_count_among_the_dims():
  got = densities.erdos_renyi_kernel(form((3, 3, 16, 32), (512, 512)), 0.8)
  share = (3 + 3 + 16 + 32) / (9 * 16 * 32), 1024 / 512**2
  np.testing.assert_allclose(got[0] / got[1], share[0] / share[1])


shapes = st.lists(
  st.lists(st.integers(0, 40), min_size=0, max_size=4), min_size=1, max_size=6
)


@given(shapes, st.floats(0, 1))
def test_any_network_gets_the_sparsity_asked_for(shapes, sparsity):
  leaves = form(*map(tuple, shapes))
  for rule in (densities.uniform, densities.erdos_renyi_kernel):
    got = rule(leaves, sparsity)
    assert all(0 <= d <= 1 for d in got)
    active = sum(d * x.size for d, x in zip(got, leaves, strict=True))
    want = (1 - sparsity) * sum(x.size for x in leaves)
    np.testing.assert_allclose(active, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
  ('sparsity', 'rule', 'message'),
  [
    (90, 'uniform', 'sparsity is 90'),
    (float('nan'), 'erdos_renyi_kernel', 'sparsity is nan'),
    (0.5, 'erk', "densities is 'erk'.*erdos_renyi_kernel"),
    (0.5, lambda params, sparsity: 0.5, 'one for each array'),
    (0.5, lambda params, sparsity: [0.5, 1.5, 1.0], 'A density is 1.5'),
  ],
)
def test_bad_arguments_are_refused(sparsity, rule, message):
  with pytest.raises(ValueError, match=message):
    densities.active_counts(LENET, sparsity, rule)
