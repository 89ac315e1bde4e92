"""Tests of one codebook for several arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.code import archive, container


def params(dtype=jnp.float32):
  keys = jax.random.split(jax.random.key(0), 3)
  normal = lambda key, shape: jax.random.normal(key, shape).astype(dtype)
  return {
    'fc0': {'kernel': normal(keys[0], (30, 20)), 'bias': jnp.zeros(20, dtype)},
    'fc1': {'kernel': normal(keys[1], (20, 9)), 'bias': jnp.ones(9, dtype)},
    'fc2': {'kernel': jnp.zeros((9, 5), dtype)},
  }


SHARE = jc.select(jc.KERNELS, jc.hessian_kmeans_share(k=15))
KERNELS = 'fc0', 'fc1'


def trained(dtype=jnp.float32, steps=4):
  latent, state = SHARE.init(params(dtype))
  tx = optax.adam(0.05)
  opt_state = tx.init(latent)

  def loss(latent):
    view = SHARE.view(latent, state)
    return sum(
      ((x.astype(jnp.float32) - 0.3) ** 2).sum() for x in jax.tree.leaves(view)
    )

  @jax.jit
  def step(latent, opt_state):
    updates, opt_state = tx.update(jax.grad(loss)(latent), opt_state, latent)
    return optax.apply_updates(latent, updates), opt_state

  for _ in range(steps):
    latent, opt_state = step(latent, opt_state)
  return latent, state


def test_the_latent_is_one_codebook_in_float32():
  latent, _ = SHARE.init(params(jnp.bfloat16))
  (centers,) = latent.shared
  assert centers.shape == (15,) and centers.dtype == jnp.float32


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_a_value_is_the_same_in_all_layers_after_training(dtype):
  latent, state = trained(dtype)
  start = SHARE.view(*SHARE.init(params(dtype)))
  view = jax.jit(SHARE.view)(latent, state)
  values = {name: np.unique(view[name]['kernel']) for name in KERNELS}
  assert len(values['fc0']) == 15
  assert set(values['fc1'].tolist()) <= set(values['fc0'].tolist())
  assert len(values['fc1']) > 9
  assert (np.unique(start['fc0']['kernel']) != values['fc0']).all()
  assert not view['fc2']['kernel'].any()


def test_the_gradient_of_a_center_is_summed_over_all_layers():
  latent, state = SHARE.init(params())
  weights = jax.tree.map(
    lambda w: jax.random.normal(jax.random.key(w.size), w.shape), params()
  )
  dot = lambda l: sum(
    jnp.vdot(SHARE.view(l, state)[name]['kernel'], weights[name]['kernel'])
    for name in KERNELS
  )
  (grad,) = jax.grad(dot)(latent).shared
  want = np.zeros(16)
  for name in KERNELS:
    codes = state[0].shares[name]['kernel'].codes
    np.add.at(want, np.asarray(codes), weights[name]['kernel'])
  np.testing.assert_allclose(grad, want[1:], rtol=1e-4, atol=1e-5)


def test_the_file_has_the_codebook_once():
  latent, state = trained()
  encoded = SHARE.encode(latent, state)
  data = container.pack(encoded, coder='raw')
  (centers,) = latent.shared
  assert data.count(np.asarray(centers).tobytes()) == 1
  read = archive.unpack(data).tree
  one = read['fc0']['kernel'].centers
  assert all(read[name]['kernel'].centers is one for name in ('fc1', 'fc2'))
  view = SHARE.view(latent, state)
  for a, b in zip(
    jax.tree.leaves(jc.decode(read)), jax.tree.leaves(view), strict=True
  ):
    np.testing.assert_array_equal(a, b)


def test_centers_without_members_are_not_shipped():
  comp = jc.uniform_share(k=101)
  w = {'a': jnp.array([1.0, -1.0, 0.5, 0.0]), 'b': jnp.array([0.5])}
  latent, state = comp.init(w)
  latent = latent + 1  # training may move what nobody uses
  assert latent.shape == (101,)
  encoded = comp.encode(latent, state)
  np.testing.assert_array_equal(encoded['a'].centers, [0, 0, 1.5, 2])
  assert jax.jit(comp.encode)(latent, state)['a'].centers.shape == (102,)
  np.testing.assert_array_equal(jc.decode(encoded)['a'], [2, 0, 1.5, 0])


def test_layers_may_have_dtypes_of_their_own():
  comp = jc.hessian_kmeans_share(k=3)
  w = {'a': jnp.ones(4, jnp.bfloat16), 'b': jnp.full(4, 0.1, jnp.float32)}
  latent, state = comp.init(w)
  view, encoded = comp.view(latent, state), comp.encode(latent, state)
  for name in w:
    assert view[name].dtype == w[name].dtype
    np.testing.assert_array_equal(view[name], w[name])
    np.testing.assert_array_equal(view[name], encoded[name].decode())


def test_one_array_needs_no_tree():
  comp = jc.hessian_kmeans_share(k=2, importance=jnp.ones(3))
  view = comp.view(*comp.init(jnp.array([1.0, 0.0, 3.0])))
  np.testing.assert_array_equal(view, [1, 0, 3])


def test_networks_of_zeros_have_no_centers():
  w = {'a': jnp.zeros((3, 4)), 'b': jnp.zeros((0, 4))}
  comp = jc.ecsq_share(5, bits=1.0, importance=jax.tree.map(jnp.ones_like, w))
  latent, state = comp.init(w)
  assert state.used == 0
  decoded = jc.decode(comp.encode(latent, state))
  assert decoded['b'].shape == (0, 4) and not decoded['a'].any()


def test_no_arrays_are_a_tree_too():
  comp = jc.hessian_kmeans_share(k=2, importance={})
  assert comp.view(*comp.init({})) == comp.encode(*comp.init({})) == {}


def test_traced_init_equals_the_concrete_one():
  h = {
    name: {'kernel': 1 + jnp.abs(params()[name]['kernel'])}
    for name in ('fc0', 'fc1', 'fc2')
  }
  comp = jc.hessian_kmeans_share(k=7, importance=h)
  w = jc.tree.split(jc.KERNELS, params())[0]
  for a, b in zip(
    jax.tree.leaves(comp.init(w)),
    jax.tree.leaves(jax.jit(comp.init)(w)),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_importances_must_fit_the_leaves_that_match():
  h = jax.tree.map(jnp.ones_like, params())
  comp = jc.select(jc.KERNELS, jc.hessian_kmeans_share(k=2, importance=h))
  with pytest.raises(ValueError, match='fc0/bias.*only for leaves that match'):
    comp.init(params())
  with pytest.raises(ValueError, match='fc0/bias.*only for leaves that match'):
    jax.jit(comp.init)(params())
