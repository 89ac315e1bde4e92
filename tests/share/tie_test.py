import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.encoded import Codebook, Sparse, Tied

KERNEL = jnp.float32(np.random.RandomState(0).randn(3, 3, 8, 16))
KINDS = {
  'negation': (jc.tie('negation'), (3, 3, 8, 8)),
  'p4': (jc.tie('p4'), (3, 3, 8, 4)),
  'p4_inputs': (jc.tie('p4', inputs=True), (3, 3, 8, 4)),
  'p4m': (jc.tie('p4m'), (3, 3, 8, 2)),
  'p4m_inputs': (jc.tie('p4m', inputs=True), (3, 3, 8, 2)),
  'translation': (jc.tie('translation'), (4, 4, 8, 4)),
  'one_window': (jc.tie('translation', shifts=1), (3, 3, 8, 16)),
  'repeat': (jc.tie('repeat', copies=2), (3, 3, 8, 8)),
}
every = pytest.mark.parametrize(
  ('comp', 'base'), list(KINDS.values()), ids=list(KINDS)
)


def conv(x, kernel):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


@every
def test_init_is_the_nearest_and_the_file_has_the_base(comp, base):
  latent, state = comp.init(KERNEL)
  assert latent.shape == base
  view = comp.view(latent, state)
  again, _ = comp.init(view)
  np.testing.assert_array_equal(again, latent)
  np.testing.assert_array_equal(comp.view(again, state), view)
  leaf = comp.encode(latent, state)
  assert isinstance(leaf, Tied) and leaf.bits() == 32 * np.prod(base)
  back = jc.unpack(jc.pack({'w': leaf})).tree['w']
  np.testing.assert_array_equal(back.decode(), view)
  size = len(jc.pack({'w': leaf}))
  assert size < 4 * np.prod(base) + 300


@every
def test_an_entry_is_zero_where_its_base_is(comp, base):
  latent, state = comp.init(KERNEL)
  zero = latent.at[..., 0].set(0)
  share = np.mean(np.asarray(comp.view(zero, state)) == 0)
  assert share == 1 / base[-1]


def test_the_gradient_is_the_sum_over_copies():
  comp, base = KINDS['translation']
  latent, state = comp.init(KERNEL)
  grad = jax.grad(lambda l: comp.view(l, state).sum())(latent)
  want = [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
  np.testing.assert_array_equal(grad[..., 0, 0], want)


def test_a_tied_layer_and_a_rectifier_are_crelu():
  comp = jc.tie('negation')
  latent, state = comp.init(KERNEL[0, 0])
  x = jnp.float32(np.random.RandomState(1).randn(5, 8))
  np.testing.assert_allclose(
    jax.nn.relu(x @ comp.view(latent, state)),
    jnp.concatenate([jax.nn.relu(x @ latent), jax.nn.relu(-(x @ latent))], -1),
    atol=1e-5,
  )


def test_an_odd_filter_has_no_opposite():
  comp = jc.tie('negation')
  latent, state = comp.init(jnp.array([1.0, 2.0, 5.0, -3.0, 0.0]))
  assert latent.tolist() == [2, 1, 5]
  assert comp.view(latent, state).tolist() == [2, 1, 5, -2, -1]
  assert comp.encode(latent, state).shape == (5,)


def test_from_scratch_the_variance_is_kept():
  w = jax.random.normal(jax.random.key(0), (3, 3, 16, 64))
  std = lambda comp: float(comp.view(*comp.init(w)).std())
  np.testing.assert_allclose(std(jc.tie('p4', scratch=True)), 1, atol=0.03)
  np.testing.assert_allclose(std(jc.tie('p4')), 0.5, atol=0.03)


def test_bases_are_pruned_and_shared_and_shipped_so():
  pruned = jc.tie('p4', jc.magnitude_prune(0.75))
  latent, state = pruned.init(KERNEL)
  leaf = pruned.encode(latent, state)
  assert isinstance(leaf.part, Sparse)
  assert np.count_nonzero(leaf.part.mask) == 72
  view = pruned.view(latent, state)
  assert np.count_nonzero(view) == 4 * 72
  shared = jc.tie('p4', jc.kmeans_share(k=4))
  part = shared.encode(*shared.init(view)).part
  assert isinstance(part, Codebook)
  assert not part.decode()[~leaf.part.mask].any()


def test_what_stands_behind_it_in_a_chain_sees_whole_kernels():
  comp = jc.chain(jc.tie('p4'), jc.magnitude_prune(0.75))
  latent, state = comp.init(jc.tie('p4').view(*jc.tie('p4').init(KERNEL)))
  assert latent.shape == (3, 3, 8, 4)
  view = comp.view(latent, state)
  assert np.count_nonzero(view) == KERNEL.size // 4
  quarter = np.asarray(view).reshape(3, 3, 8, 4, 4)
  np.testing.assert_array_equal(
    quarter[..., 1, :], np.rot90(quarter[..., 0, :])
  )


def test_a_network_has_a_tie_for_each_kind_of_leaf():
  params = {
    'conv1': {'kernel': jnp.ones((3, 3, 1, 8)), 'bias': jnp.arange(8.0)},
    'conv2': {'kernel': KERNEL, 'bias': jnp.zeros(16)},
    'fc': {'kernel': jnp.ones((4, 3))},
  }
  comp = jc.partition(
    ('conv1/kernel', jc.tie('p4')),
    ('conv2/kernel', jc.tie('p4', inputs=True)),
    ('.*/bias', jc.tie('repeat', copies=4)),
  )
  loss = lambda p, x: sum(jnp.sum(w * x) for w in jax.tree.leaves(p))
  step = jc.train_step(loss, comp, optax.sgd(0.1))
  ts, _ = step(jc.init_train_state(comp, optax.sgd(0.1), params), 1.0)
  view = comp.view(ts.latent, ts.state)
  assert jax.tree.map(jnp.shape, view) == jax.tree.map(jnp.shape, params)
  bias = np.asarray(view['conv1']['bias']).reshape(4, 2)
  np.testing.assert_allclose(bias, np.tile([2.6, 3.6], (4, 1)), rtol=1e-6)


def turned_difference(kernels, biases):
  """How far the outputs of a trained network move when its image is turned."""
  rng = np.random.default_rng(0)
  draw = lambda *shape: jnp.float32(rng.normal(size=shape))
  params = {
    'conv1': {'kernel': draw(3, 3, 1, 8), 'bias': draw(8)},
    'conv2': {'kernel': draw(3, 3, 8, 16), 'bias': draw(16)},
  }
  comp = jc.partition(*kernels, *biases)
  images, tx = draw(2, 7, 7, 1), optax.adam(0.1)

  def apply(params, x):
    for layer in (params['conv1'], params['conv2']):
      x = jax.nn.relu(conv(x, layer['kernel']) + layer['bias'])
    return jc.ops.group_pool(x, 4).mean((1, 2))

  loss = lambda p, x: (apply(p, x) ** 2).mean()
  step, ts = (
    jc.train_step(loss, comp, tx),
    jc.init_train_state(comp, tx, params),
  )
  for _ in range(3):
    ts, _ = step(ts, images)
  run = lambda x: apply(comp.view(ts.latent, ts.state), x)
  moved = run(jnp.rot90(images, 1, (1, 2))) - run(images)
  return np.abs(moved).max() / np.abs(run(images)).max()


def test_a_network_with_all_ties_turns_with_the_image():
  kernels = [
    ('conv1/kernel', jc.tie('p4')),
    ('conv2/kernel', jc.tie('p4', inputs=True)),
  ]
  biases = [('.*/bias', jc.tie('repeat', copies=4))]
  assert turned_difference(kernels, biases) < 1e-5
  assert turned_difference(kernels, []) > 1e-3
  still = [('.*/kernel', jc.tie('p4'))]  # inputs that do not move along
  assert turned_difference(still, biases) > 1e-3


def test_layers_of_a_stack_are_tied_apart():
  stack = jnp.stack([KERNEL, 2 * KERNEL])
  comp, alone = jc.stacked(jc.tie('p4')), jc.tie('p4')
  latent, state = comp.init(stack)
  view = comp.view(latent, state)
  np.testing.assert_array_equal(view[0], alone.view(*alone.init(KERNEL)))
  leaf = jc.unpack(jc.pack({'w': comp.encode(latent, state)})).tree['w']
  assert all(isinstance(part, Tied) for part in leaf.parts)
  np.testing.assert_array_equal(leaf.decode(), view)


def test_a_model_runs_from_its_tied_leaves():
  comp = jc.tie('p4m', jc.linear_quantize(4))
  latent, state = comp.init({'kernel': KERNEL})
  tree = comp.encode(latent, state)
  x = jnp.ones((2, 5, 5, 8))
  apply = lambda p, x: conv(x, p['kernel'])
  got = jc.run_packed(apply)(jc.encoded.packed(tree), x)
  np.testing.assert_allclose(got, apply(jc.decode(tree), x), rtol=1e-5)


@pytest.mark.parametrize(
  ('make', 'shape', 'words'),
  [
    (lambda: jc.tie('p5'), None, 'must be one of'),
    (lambda: jc.tie('negation', inputs=True), None, 'of the groups'),
    (lambda: jc.tie('repeat', copies=0), None, 'copies is 0'),
    (lambda: jc.tie('translation', shifts=33), None, 'shifts is 33'),
    (lambda: jc.tie('p4'), (3, 3, 2, 6), 'w of shape .* not 4 copies'),
    (lambda: jc.tie('p4'), (3, 2, 2, 8), 'w: A base .* square'),
    (lambda: jc.tie('p4m', inputs=True), (3, 3, 4, 8), 'w: A base'),
    (lambda: jc.tie('repeat'), (), 'w of shape'),
  ],
)
def test_what_cannot_be_tied(make, shape, words):
  with pytest.raises(ValueError, match=words):
    make().init({'w': jnp.ones(shape)})
