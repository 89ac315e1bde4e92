import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor.methods import tucker2
from jcompress.factor.ranks import energy_rank, tucker2_ranks

R = np.random.RandomState


def test_ranks_by_energy_of_the_squares():
  s = np.linalg.svd(R(0).randn(6, 4), compute_uv=False)
  found = [energy_rank(s, e) for e in (0.5, 0.9, 0.95, 0.99, 1.0)]
  assert found == [1, 2, 3, 4, 4] and type(found[0]) is int
  assert energy_rank(jnp.float32(s[::-1]), 0.95) == 3
  # Three quarters of the squares are in the first, half of the values.
  assert energy_rank([3.0, 1.0, 1.0, 1.0], 0.75) == 1


def test_ends_of_energy():
  assert energy_rank([1.0, 1.0, 1.0, 0.0], 1.0) == 3
  assert energy_rank([0.0, 0.0], 0.9) == 1
  assert energy_rank([1e-200, 1e-200], 1.0) == 2
  for energy in (0.0, 1.1, np.nan):
    with pytest.raises(ValueError, match='energy is'):
      energy_rank([1.0], energy)
  with pytest.raises(ValueError, match='of 0 values'):
    energy_rank([], 0.5)


def planted():
  """A kernel of Tucker ranks 4 and 6 under noise."""
  r = R(4)
  a = np.linalg.qr(r.randn(16, 4))[0]
  b = np.linalg.qr(r.randn(32, 6))[0]
  core = r.randn(3, 3, 4, 6)
  kernel = np.einsum('hwab,ia,ob->hwio', core, a, b)
  return kernel + 0.05 * r.randn(3, 3, 16, 32)


def test_planted_tucker_ranks_are_found():
  kernel = planted()
  assert tucker2_ranks(kernel, 'evbmf') == (4, 6)
  assert tucker2_ranks(7 * kernel, 'evbmf') == (4, 6)
  assert tucker2_ranks(jnp.float32(kernel), 'evbmf') == (4, 6)


def test_each_unfolding_keeps_its_energy():
  kernel = planted()
  unfold = lambda axis: np.moveaxis(kernel, axis, 0).reshape(
    kernel.shape[axis], -1
  )
  values = [np.linalg.svd(unfold(i), compute_uv=False) for i in (2, 3)]
  for energy in (0.5, 0.9):
    found = tucker2_ranks(kernel, energy)
    assert found == tuple(energy_rank(s, energy) for s in values)
  assert tucker2_ranks(kernel, 1.0) == (16, 32)


def test_ranks_are_at_least_one_and_are_ranks_of_the_method():
  noise = R(1).randn(1, 1, 20, 40)
  assert tucker2_ranks(noise, 'evbmf') == (1, 1)
  uneven = R(1).randn(1, 1, 2, 40)
  ranks = tucker2_ranks(uneven, 1.0)
  assert ranks == (2, 2) and tucker2(*ranks).stages(uneven.shape)


def test_other_rules_are_refused():
  with pytest.raises(ValueError, match="rule is 'energy'"):
    tucker2_ranks(planted(), 'energy')
  with pytest.raises(ValueError, match='two axes'):
    tucker2_ranks(np.ones(3), 0.5)
