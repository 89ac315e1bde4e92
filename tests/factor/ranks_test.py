import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor.methods import tucker2
from jcompress.factor.ranks import energy_rank, spectrum, tucker2_ranks
from jcompress.factor.separable import separable_factors
from jcompress.factor.svd import svd_factors

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


def test_spectra_are_what_factors_cut_off():
  square = lambda x: np.square(np.float64(x)).sum()
  k = R(0).randn(3, 2, 4, 5)
  left, right = svd_factors(jnp.float32(k), 2)
  missed = k - np.einsum('hwir,xyro->hwio', left, right)
  np.testing.assert_allclose(square(spectrum(k)[2:]), square(missed), rtol=1e-5)
  vertical, horizontal = separable_factors(jnp.float32(k), 2)
  missed = k - np.einsum('hxir,ywro->hwio', vertical, horizontal)
  np.testing.assert_allclose(
    square(spectrum(k, scheme='separable')[2:]), square(missed), rtol=1e-5
  )
  query, x = R(1).randn(6, 2, 4), R(2).randn(20, 6)
  left, right = svd_factors(
    jnp.float32(query), 2, covariance=jnp.float32(x.T @ x), in_axes=(0,)
  )
  missed = x @ (query - np.einsum('ar,rbc->abc', left, right)).reshape(6, 8)
  s = spectrum(query, covariance=x.T @ x, in_axes=(0,))
  assert s.shape == (6,) and (np.diff(s) <= 0).all()
  np.testing.assert_allclose(square(s[2:]), square(missed), rtol=1e-4)


def test_spectra_of_what_does_not_fit_are_refused():
  with pytest.raises(ValueError, match='scheme is'):
    spectrum(np.eye(2), scheme='tucker2')
  with pytest.raises(ValueError, match="Only the scheme 'svd'"):
    spectrum(np.ones((1, 1, 2, 2)), scheme='separable', in_axes=(0,))
  with pytest.raises(ValueError, match='needs .2, 2.'):
    spectrum(np.eye(2), covariance=np.eye(3))
