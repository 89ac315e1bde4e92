import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compressors import scale
from flax import traverse_util
from helpers import as_users_call_it

import jcompress as jc

PARAMS = {
  'a': {'kernel': jnp.array([1.0, 2.0, 3.0, 4.0]), 'bias': jnp.ones(2)},
  'b': {'kernel': jnp.array([5.0, 6.0]), 'bias': jnp.zeros(2)},
}


def test_identity_shows_and_ships_the_params():
  comp = jc.identity()
  latent, state = comp.init(PARAMS)
  shown = comp.view(latent, state)
  jax.tree.map(np.testing.assert_array_equal, shown, PARAMS)
  assert comp.penalty(latent, state) == 0
  np.testing.assert_array_equal(
    comp.encode(latent, state)['b']['kernel'].values, [5, 6]
  )


def test_identity_costs_no_operation():
  comp, params = jc.identity(), {'w': jnp.ones((4, 4))}
  latent, state = comp.init(params)
  loss = lambda p: (p['w'] ** 2).sum()
  cost = lambda f, x: jax.jit(jax.grad(f)).lower(x).compile().cost_analysis()
  seen = cost(lambda l: loss(comp.view(l, state)), latent)
  assert seen['flops'] == cost(loss, params)['flops']


def test_partition_gives_each_leaf_to_the_first_rule():
  comp = jc.partition(('a/.*', scale(10)), ('.*/kernel', scale(100)))
  latent, state = comp.init(PARAMS)
  view = comp.view(latent, state)
  np.testing.assert_array_equal(view['a']['bias'], [10, 10])
  np.testing.assert_array_equal(view['b']['kernel'], [500, 600])
  np.testing.assert_array_equal(view['b']['bias'], [0, 0])
  assert comp.penalty(latent, state) == 10 + 2 + 11
  grads = jax.tree.map(jnp.ones_like, latent)
  latent, state = comp.update(latent, state, grads)
  view = comp.view(latent, state)
  np.testing.assert_array_equal(view['b']['kernel'], [400, 500])
  np.testing.assert_array_equal(view['b']['bias'], [0, 0])


def test_encode_puts_encoded_leaves_and_dense_rest_together():
  comp = jc.select('a/kernel', jc.magnitude_prune(0.5))
  encoded = comp.encode(*comp.init(PARAMS))
  kinds = jax.tree.map(
    lambda e: type(e).__name__, encoded, is_leaf=jc.encoded.is_encoded
  )
  assert kinds == {
    'a': {'kernel': 'Sparse', 'bias': 'Dense'},
    'b': {'kernel': 'Dense', 'bias': 'Dense'},
  }


def test_partition_refuses_rules_that_do_nothing():
  with pytest.raises(ValueError, match='at least one'):
    jc.partition()
  rules = (jc.KERNELS, scale(2)), ('b/kernel', scale(3))
  with pytest.raises(ValueError, match='an earlier pattern'):
    jc.partition(*rules).init(PARAMS)


def test_the_latent_has_the_containers_and_paths_of_the_params():
  comp = jc.partition(
    ('a/kernel', jc.magnitude_prune(0.5)), ('b/.*', jc.learned_step(4))
  )
  latent, state = comp.init(PARAMS)
  np.testing.assert_array_equal(latent['a']['kernel'], PARAMS['a']['kernel'])
  np.testing.assert_array_equal(latent['a']['bias'], PARAMS['a']['bias'])
  step = latent['b']['kernel'].value
  np.testing.assert_array_equal(step.w, PARAMS['b']['kernel'])
  grads = jax.tree.map(jnp.zeros_like, latent)
  after, _ = comp.update(latent, state, grads)
  assert jax.tree.structure(after) == jax.tree.structure(latent)


def test_a_latent_of_several_leaves_has_a_place_of_its_own():
  comp = jc.partition(
    ('.*/bias', jc.magnitude_prune(0.5)),
    (jc.KERNELS, jc.hessian_kmeans_share(k=2)),
  )
  latent, state = comp.init(PARAMS)
  assert latent.leaves['a']['kernel'] is None
  np.testing.assert_array_equal(latent.leaves['a']['bias'], [1, 1])
  assert latent.shared[0] is None and latent.shared[1].shape == (2,)
  grads = jax.tree.map(jnp.zeros_like, latent)
  after, _ = comp.update(latent, state, grads)
  assert jax.tree.structure(after) == jax.tree.structure(latent)


def test_masks_and_labels_of_the_params_fit_the_latent():
  comp = jc.select(jc.KERNELS, jc.learned_step(4))
  mask = jax.tree_util.tree_map_with_path(
    lambda path, _: path[-1].key == 'kernel', PARAMS
  )

  def decays(tree):
    flat = traverse_util.flatten_dict(tree)
    return traverse_util.unflatten_dict({p: p[-1] == 'kernel' for p in flat})

  labels = jax.tree.map(lambda m: 'slow' if m else 'fast', mask)
  rates = {'slow': optax.sgd(0.25), 'fast': optax.sgd(1.0)}
  loss = lambda p, batch: batch * sum(jnp.sum(x) for x in jax.tree.leaves(p))
  for tx in (
    optax.adamw(0.1, weight_decay=0.1, mask=mask),
    optax.adamw(0.1, weight_decay=0.1, mask=decays),
    optax.partition(rates, labels),
  ):
    ts = jc.init_train_state(comp, tx, PARAMS)
    ts, _ = jc.train_step(loss, comp, tx)(ts, 1.0)
  np.testing.assert_allclose(ts.latent['a']['bias'], [0, 0])
  np.testing.assert_allclose(
    ts.latent['a']['kernel'].value.w, PARAMS['a']['kernel'] - 0.25
  )


@pytest.mark.parametrize('start', ['as_optax', 'init_train_state'])
def test_a_mask_that_does_not_fit_names_the_leaves(start):
  comp = jc.select(jc.KERNELS, jc.hessian_kmeans_share(k=2))
  mask = jax.tree.map(lambda x: x.ndim > 1, PARAMS)
  tx = optax.adamw(0.1, mask=mask)
  with pytest.raises(ValueError, match='stands for a/kernel, b/kernel tog'):
    if start == 'as_optax':
      jc.as_optax(comp, tx).init(PARAMS)
    else:
      jc.init_train_state(comp, tx, PARAMS)


def test_other_errors_of_an_optimizer_are_its_own():
  def refuse(params):
    raise KeyError('mine')

  tx = optax.GradientTransformation(refuse, None)
  with pytest.raises(KeyError, match='mine'):
    jc.init_train_state(jc.identity(), tx, PARAMS)


MIXED = {
  'kernel': jnp.array([[1.0, -2.0], [3.0, 0.5]]),
  'count': jnp.array([3, 4]),
  'flag': jnp.array(True),
  'key': jax.random.key(3),
}


@pytest.mark.parametrize(
  'comp',
  [
    jc.identity(),
    jc.magnitude_prune(0.5),
    jc.select('kernel', jc.magnitude_prune(0.5)),
    jc.partition(('kernel', jc.linear_quantize(8)), ('.*', jc.identity())),
    jc.chain(jc.magnitude_prune(0.5), jc.linear_quantize(8)),
    jc.binary_connect(stochastic=True),
    jc.hash_weights(0.5),
    jc.hessian_kmeans_share(k=2),
  ],
)
def test_leaves_that_are_no_floats_pass_by(comp):
  ts = jc.init_train_state(comp, optax.adamw(0.1), MIXED)
  assert all(jnp.issubdtype(x.dtype, jnp.floating) for x in leaves(ts.latent))

  def loss(params, batch):
    assert jnp.issubdtype(params['key'].dtype, jax.dtypes.prng_key)
    return jnp.sum(params['kernel'] ** 2) * batch + params['count'].sum()

  ts, _ = jc.train_step(loss, comp, optax.adamw(0.1))(ts, 1.0)
  view, encoded = comp.view(*ts[:2]), comp.encode(*ts[:2])
  for seen in (view, jc.decode(encoded)):
    assert seen['count'].tolist() == [3, 4] and seen['count'].dtype == 'int32'
    assert seen['flag'].dtype == bool
    assert seen['key'] == MIXED['key']


def test_what_is_no_array_is_named():
  with pytest.raises(ValueError, match='act is a function; params are trees'):
    jc.magnitude_prune(0.5).init({'w': jnp.ones(2), 'act': lambda x: x})


def test_nan_and_inf_of_leaves_without_a_method_are_shipped():
  params = {'kernel': jnp.ones(3), 'mask': jnp.array([-jnp.inf, jnp.nan])}
  comp = jc.select('kernel', jc.magnitude_prune(0.5))
  shipped = jc.unpack(jc.pack(comp.encode(*comp.init(params)))).tree
  np.testing.assert_array_equal(jc.decode(shipped)['mask'], params['mask'])


def leaves(tree):
  return jax.tree.leaves(tree)


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda c: jc.select('*/kernel', c), r"the glob `\*/kernel` is r'.\*/ker"),
    (lambda c: jc.select('(kernel', c), "'.kernel' is not a regular express"),
    (lambda c: jc.partition(c), 'A rule is Compressor; it must be a pair'),
    (lambda c: jc.partition({'a': c}), 'A rule is dict'),
    (lambda c: jc.partition([('a', c)]), r'A rule is list.*dict by \*rules'),
    (lambda c: jc.select(c, 'a'), 'A rule is Compressor, str; it must be'),
    (lambda c: jc.select('a', jc.kmeans_share), 'call it, as kmeans_share'),
    (lambda c: jc.select('a', 'prune'), "'a' takes comp.*'prune' of type str"),
    (lambda c: jc.chain(c, jc.kmeans_share), 'call it, as kmeans_share'),
    (lambda c: jc.chain([c, c]), 'takes compressors.*of type list'),
  ],
)
def test_what_is_no_rule_or_no_compressor_is_refused(make, message):
  with as_users_call_it(), pytest.raises(ValueError, match=message):
    make(jc.magnitude_prune(0.5))


def test_a_pattern_of_integers_alone_is_refused():
  params = {'table': {'kernel': jnp.arange(4)}, 'fc': {'kernel': jnp.ones(3)}}
  comp = jc.magnitude_prune(0.5)
  with pytest.raises(ValueError, match='table/kernel are integers'):
    jc.select('table/.*', comp).init(params)
  latent, state = jc.select(jc.KERNELS, comp).init(params)
  assert jax.tree.leaves(latent)[0].shape == (3,)


@pytest.mark.parametrize('state', [None, (), ((), (), ())])
def test_the_state_of_another_partition_is_refused(state):
  comp = jc.select(jc.KERNELS, jc.magnitude_prune(0.5))
  latent, _ = comp.init(PARAMS)
  for use in (comp.view, comp.encode, comp.penalty):
    with pytest.raises(ValueError, match='1 rules is a tuple of 2. Is it of'):
      use(latent, state)
