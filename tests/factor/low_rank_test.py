import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress import encoded

R = np.random.RandomState
K = jnp.float32(R(0).randn(3, 3, 4, 5))
TAIL = np.linalg.svd(K.reshape(36, 5), compute_uv=False)[4]
CASES = {
  'svd': (jc.svd(4), TAIL**2, 4 * (36 + 5)),
  'separable': (jc.separable(2), 93.916357, 54),
  'tucker2': (jc.tucker2(4, 5), 0, 16 + 180 + 25),
  'canonical': (jc.canonical(2), 120.632346, 30),
}


@pytest.mark.parametrize('name', list(CASES))
def test_the_view_is_the_nearest_kernel_and_the_file_has_its_factors(name):
  method, error, count = CASES[name]
  comp = jc.low_rank(method)
  latent, state = comp.init(K)
  view = comp.view(latent, state)
  missed = np.square(np.float64(view) - K).sum()
  np.testing.assert_allclose(missed, error, rtol=1e-3, atol=1e-8)
  assert sum(x.size for x in jax.tree.leaves(latent)) == count
  leaf = comp.encode(latent, state)
  assert isinstance(leaf, encoded.Factors) and leaf.bits() == 32 * count
  read = jc.unpack(jc.pack(leaf)).tree
  np.testing.assert_array_equal(jc.decode(read), view)


def test_svd_is_the_baseline_of_quantizers():
  w = jnp.float32(R(1).randn(3, 4, 6))
  views = [
    comp.view(*comp.init(w))
    for comp in (jc.low_rank(jc.svd(3)), jc.truncated_svd(3))
  ]
  np.testing.assert_allclose(*views, atol=1e-5)


def test_a_train_begins_and_learns():
  w = jnp.float32(R(2).randn(24, 30))
  target = jnp.float32(
    np.einsum('ac,bd->abcd', R(3).randn(4, 5), R(4).randn(6, 6))
  ).reshape(24, 30)
  comp = jc.low_rank(jc.tensor_train((4, 6), (5, 6), 1))
  loss = lambda w, batch: jnp.mean((w - target) ** 2)
  tx = optax.adam(0.05)
  step, state = jc.train_step(loss, comp, tx), jc.init_train_state(comp, tx, w)
  for _ in range(150):
    state, metrics = step(state, None)
  assert metrics['loss'] < 0.01 * jnp.mean(target**2)


def test_a_kernel_without_such_factors_is_refused():
  with pytest.raises(ValueError, match='allows 1 .. 5'):
    jc.low_rank(jc.svd(6)).init(K)
  with pytest.raises(ValueError, match='height, width, in, out'):
    jc.low_rank(jc.separable(2)).init(jnp.ones((4, 5)))
