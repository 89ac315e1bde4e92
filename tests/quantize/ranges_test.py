import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.grouping import groups_of
from jcompress.quantize.ranges import SHARES, percentile_share, require_bits


@pytest.mark.parametrize(
  ('axis', 'tile'), [(None, None), (-1, None), (0, None), (-1, 7)]
)
@pytest.mark.parametrize('percentile', [70.0, 100.0])
def test_percentiles_are_those_of_a_sort_of_what_is_not_zero(
  axis, tile, percentile
):
  rng = np.random.default_rng(0)
  w = np.abs(rng.standard_normal((40, 6))) * (rng.random((40, 6)) < 0.6)
  w[:, 2] = 0
  w = jnp.asarray(w, jnp.float32)
  groups = groups_of(w.shape, axis, tile)
  share = jax.jit(lambda w: percentile_share(w, groups, percentile))(w)
  for row, got in zip(groups.rows(w), share.ravel(), strict=True):
    live = np.sort(row[row > 0])[::-1]
    above = round(live.size * (1 - percentile / 100))
    want = live[above] / live[0] if live.size else 1
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
  ('symmetric', 'tile'), [(True, None), (True, 16), (False, None)]
)
@pytest.mark.parametrize('bits', [2, 4])
def test_no_other_share_has_a_smaller_squared_error(symmetric, tile, bits):
  w = jax.random.t(jax.random.key(0), 3.0, (40, 5))
  options = {'axis': -1, 'tile': tile, 'symmetric': symmetric}
  comp = jc.linear_quantize(bits, calibration='mse', **options)
  latent, state = comp.init(w)
  groups = groups_of(w.shape, -1, tile)
  share = state.shares[0].ravel()
  best = groups.rows((comp.view(latent, state) - w) ** 2).sum(1)
  errors = []
  for s in SHARES:
    shares = [jnp.full_like(x, s) for x in state.shares]
    view = comp.view(latent, state._replace(shares=shares))
    errors.append(groups.rows((view - w) ** 2).sum(1))
  np.testing.assert_allclose(best, np.min(errors, 0), rtol=1e-5)
  np.testing.assert_allclose(share, SHARES[np.argmin(errors, 0)], rtol=1e-6)
  assert (share < 1).any()


@pytest.mark.parametrize('bits', [1, 9, 4.5, True, '8', None])
def test_codes_have_two_to_eight_bits(bits):
  with pytest.raises(ValueError, match='a whole number|lie in 2 .. 8'):
    require_bits(bits)
