import jax.numpy as jnp
import numpy as np
import pytest
from helpers import as_users_call_it

import jcompress as jc
from jcompress.quantize.row_steps import row_steps
from jcompress.quantize.step_codebook import step_codebook

RNG = np.random.default_rng(0)
W = RNG.standard_normal((200, 16)).astype('float32')
H = np.r_[np.full(100, 0.5), np.full(100, 8.0)]


def test_errors_of_rows_go_with_the_inverse_of_their_importance():
  leaf = row_steps(W, H, 0.2)
  errors = ((np.asarray(leaf.decode()) - W) ** 2).mean(1)
  ratio = errors[:100].mean() / errors[100:].mean()
  np.testing.assert_allclose(ratio, 16, rtol=0.1)
  assert leaf.decode().dtype == W.dtype


def test_in_as_many_bytes_what_counts_changes_less():
  w = RNG.standard_normal((3000, 16)).astype('float32')
  h = np.repeat([0.25, 1, 16], 1000)
  weighed = lambda leaf: float(
    (h[:, None] * (np.asarray(leaf.decode()) - w) ** 2).sum()
  )
  alike, rows = step_codebook(w, 0.3), row_steps(w, h, 0.25)
  assert len(jc.pack({'w': rows})) < len(jc.pack({'w': alike}))
  assert weighed(rows) < 0.7 * weighed(alike)


def test_rows_that_never_occur_keep_something_and_zeros_stay():
  w = np.where(RNG.random(W.shape) < 0.3, 0, W)
  leaf = row_steps(w, np.r_[np.zeros(10), np.ones(190)], 0.01)
  assert leaf.factor.max() == 64
  shown = np.asarray(leaf.decode())
  assert (shown[w == 0] == 0).all() and (shown[:10] != 0).any()
  half = row_steps(jnp.asarray(w, jnp.bfloat16), np.ones(200), 0.5)
  assert half.decode().dtype == jnp.bfloat16


def test_entries_of_a_row_make_up_for_each_other():
  x = RNG.standard_normal((40, 16)) @ RNG.standard_normal((16, 16))
  g = x.T @ x
  cost = lambda leaf: np.vdot(
    d := np.asarray(leaf.decode()) - W, H[:, None] * (d @ g)
  )
  plain = row_steps(W, H, 0.5, outputs=g, feedback=False)
  assert cost(row_steps(W, H, 0.5, outputs=g)) < 0.7 * cost(plain)


@pytest.mark.parametrize(
  'importance', [H[:5], -H, 0 * H, np.where(H > 1, np.nan, H)]
)
def test_importance_that_does_not_fit_is_refused(importance):
  wrong = pytest.raises(ValueError, match='must be a number for each row')
  with as_users_call_it(), wrong:
    row_steps(W, importance, 0.1)
