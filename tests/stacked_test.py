import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc

SCALES = jnp.array([1.0, 10.0, 0.1])[:, None, None]
STACK = SCALES * jax.random.normal(jax.random.key(0), (3, 8, 6))
METHODS = {
  'magnitude': jc.magnitude_prune(0.5, every=2),
  'movement': jc.movement_prune(0.5),
  'kmeans': jc.kmeans_share(k=3),
  'linear': jc.linear_quantize(4),
  'learned_step': jc.learned_step(4),
  'trained_ternary': jc.trained_ternary(),
  'binary': jc.binary_weight(),
  'low_rank': jc.truncated_svd(2),
  'two': jc.chain(jc.learned_step(4), jc.magnitude_prune(0.5)),
}


def trained(comp, params, steps=3):
  """Latent and state after some steps that pull the weights to 0.1."""

  def loss(latent, state):
    shown = jax.tree.leaves(comp.view(latent, state))
    return sum(((w - 0.1) ** 2).sum() for w in shown) + comp.penalty(
      latent, state
    )

  @jax.jit
  def step(latent, state):
    grads = jax.grad(loss)(latent, state)
    latent = jax.tree.map(lambda x, g: x - 0.01 * g, latent, grads)
    return comp.update(latent, state, grads)

  carry = comp.init(params)
  for _ in range(steps):
    carry = step(*carry)
  return carry


@pytest.mark.parametrize('name', METHODS)
def test_each_layer_is_compressed_like_an_array_of_its_own(name):
  comp = METHODS[name]
  whole = jc.select('.*', comp, stacked=0)
  found = whole.view(*trained(whole, {'kernel': STACK}))['kernel']
  for layer, w in zip(found, STACK, strict=True):
    alone = comp.view(*trained(comp, {'kernel': w}))['kernel']
    np.testing.assert_allclose(layer, alone, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize('name', METHODS)
def test_the_file_holds_every_layer(name):
  comp = jc.stacked(METHODS[name])
  carry = trained(comp, {'kernel': STACK})
  shipped = comp.encode(*carry)
  assert len(shipped['kernel'].parts) == 3
  data = jc.pack(shipped)
  found = jc.decode(jc.unpack(data).tree)['kernel']
  np.testing.assert_array_equal(found, comp.view(*carry)['kernel'])
  report = jc.report(data)
  assert report.total.file_bytes == len(data)
  assert [r.path for r in report.rows] == ['kernel']


def test_layers_do_not_compete():
  zeros = lambda c: np.count_nonzero(
    c.view(*c.init({'kernel': STACK}))['kernel'] == 0, axis=(1, 2)
  )
  assert zeros(jc.stacked(jc.magnitude_prune(0.5))).tolist() == [24, 24, 24]
  assert zeros(jc.magnitude_prune(0.5)).tolist() != [24, 24, 24]


@pytest.mark.parametrize('axes', [1, (0, 2), (2, 0), (0, 1)])
def test_layers_may_lie_along_any_axes(axes):
  w = jax.random.normal(jax.random.key(1), (2, 3, 4, 5))
  comp = jc.stacked(jc.magnitude_prune(0.5), axes)
  latent, state = comp.init({'a': w})
  assert latent['a'].shape == w.shape  # as the optimizer's masks want it
  kept = comp.view(latent, state)['a'] != 0
  along = (axes,) if isinstance(axes, int) else axes
  rest = tuple(a for a in range(4) if a not in along)
  size = w.size // np.prod([w.shape[a] for a in along])
  assert (kept.sum(rest) == size // 2).all()
  encoded = comp.encode(latent, state)['a']
  np.testing.assert_array_equal(encoded.decode() != 0, kept)


def test_axes_by_path_leave_the_other_arrays_whole():
  params = {'blocks': {'kernel': STACK}, 'head': {'kernel': STACK[0]}}
  comp = jc.select(
    jc.KERNELS, jc.magnitude_prune(0.5), stacked={'blocks/kernel': 0}
  )
  latent, state = comp.init(params)
  view = comp.view(latent, state)
  assert ((view['blocks']['kernel'] == 0).sum((1, 2)) == 24).all()
  assert (view['head']['kernel'] == 0).sum() == 24
  tx = optax.adamw(0.1, mask=jax.tree.map(lambda _: True, params))
  tx.init(latent)
  with pytest.raises(ValueError, match='stacked names block/kernel, and the'):
    jc.select(jc.KERNELS, comp, stacked={'block/kernel': 0}).init(params)


def test_layers_draw_noise_of_their_own():
  comp = jc.stacked(jc.binary_connect(stochastic=True))
  view = comp.view(*comp.init({'kernel': jnp.zeros((4, 50))}))['kernel']
  assert len({tuple(row) for row in np.asarray(view).tolist()}) == 4


@pytest.mark.parametrize(
  ('axes', 'shape'), [(2, (3, 4)), (-1, (3, 4)), ((0, 0), (3, 4)), (0, ())]
)
def test_axes_that_an_array_does_not_have_are_refused(axes, shape):
  comp = jc.stacked(jc.magnitude_prune(0.5), axes)
  with pytest.raises(ValueError, match='a of shape .* has no axes'):
    comp.init({'a': jnp.ones(shape)})


@pytest.mark.parametrize('shape', [(0, 4), (3, 0), (0, 0)])
@pytest.mark.parametrize('name', ['magnitude', 'kmeans'])
def test_an_array_without_layers_or_weights_stays(name, shape):
  comp = jc.stacked(METHODS[name])
  carry = trained(comp, {'a': jnp.ones(shape)})
  assert comp.view(*carry)['a'].shape == shape
  assert jc.decode(comp.encode(*carry))['a'].shape == shape
