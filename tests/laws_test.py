"""Every compressor obeys every law (the laws are listed in the README)."""

import chex
import compressors
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import jcompress as jc
from jcompress import tree
from jcompress.code import container

every = pytest.mark.parametrize('name', compressors.NAMES)
dtypes = pytest.mark.parametrize(
  'dtype', [jnp.float32, jnp.bfloat16, jnp.float16]
)


def selected(name, params=None):
  params = compressors.params() if params is None else params
  entry = compressors.table(tree.split(jc.KERNELS, params)[0])[name]
  return jc.select(jc.KERNELS, entry.comp)


def loss(params):
  """Pulls each weight to 0.7: no weight has a zero gradient by chance."""
  parts = [jnp.sum((w.astype(jnp.float32) - 0.7) ** 2) for w in leaves(params)]
  return sum(parts)


def leaves(x):
  return jax.tree.leaves(x)


def optimizer():
  return optax.adamw(0.05, eps=1e-4, weight_decay=0.1)  # 1e-8 is 0 in float16


def step(comp, tx, carry):
  latent, state, opt_state = carry
  f = lambda l: loss(comp.view(l, state)) + comp.penalty(l, state)
  grads = jax.grad(f)(latent)
  updates, opt_state = tx.update(grads, opt_state, latent)
  latent = optax.apply_updates(latent, updates)
  latent, state = comp.update(latent, state, grads)
  return latent, state, opt_state


def start(comp, tx, params):
  latent, state = comp.init(params)
  return latent, state, tx.init(latent)


def run(comp, params, steps=5):
  tx = optimizer()
  carry = start(comp, tx, params)
  one = jax.jit(lambda c: step(comp, tx, c))
  for _ in range(steps):
    carry = one(carry)
  return carry


def forms(x):
  form = lambda a: (a.shape, a.dtype, getattr(a, 'weak_type', False))
  return jax.tree.structure(x), [form(a) for a in leaves(x)]


@every
@dtypes
def test_1_latent_is_floats_and_state_is_arrays(name, dtype):
  latent, state = selected(name).init(compressors.params(dtype))
  for x in leaves(latent):
    assert isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)
  for x in leaves((latent, state)):
    assert isinstance(x, jax.Array) and not getattr(x, 'weak_type', False)


@every
@dtypes
def test_2_view_has_the_form_of_the_params(name, dtype):
  params, comp = compressors.params(dtype), selected(name)
  for stage in (comp.init(params), run(comp, params)[:2]):
    chex.assert_trees_all_equal_shapes_and_dtypes(comp.view(*stage), params)


@every
@dtypes
def test_3_step_keeps_structure_and_types(name, dtype):
  comp, tx = selected(name), optimizer()
  before = start(comp, tx, compressors.params(dtype))
  after = jax.jit(lambda c: step(comp, tx, c))(before)
  assert forms(before[:2]) == forms(after[:2])


@every
def test_4_scan_equals_the_loop(name):
  comp, tx = selected(name), optimizer()
  loop = carry = start(comp, tx, compressors.params())
  one = jax.jit(lambda c: step(comp, tx, c))
  for _ in range(4):
    loop = one(loop)
  scan = jax.jit(
    lambda c: jax.lax.scan(lambda c, _: (step(comp, tx, c), None), c, None, 4)
  )
  chex.assert_trees_all_close(
    comp.view(*loop[:2]), comp.view(*scan(carry)[0][:2]), rtol=1e-5, atol=1e-6
  )


@every
def test_5_vmap_over_seeds_equals_one_by_one(name):
  comp, params = selected(name), compressors.params()
  many = [params, jax.tree.map(lambda x: 2 * x[::-1], params)]
  stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *many)

  def two_steps(p):
    latent, state = comp.init(p)
    for _ in range(2):
      grads = jax.grad(lambda l, s=state: loss(comp.view(l, s)))(latent)
      latent = jax.tree.map(lambda l, g: l - 0.05 * g, latent, grads)
      latent, state = comp.update(latent, state, grads)
    return comp.view(latent, state)

  together = jax.jit(jax.vmap(two_steps))(stacked)
  for i, p in enumerate(many):
    chex.assert_trees_all_close(
      jax.tree.map(lambda x, i=i: x[i], together),
      jax.jit(two_steps)(p),
      rtol=1e-5,
      atol=1e-6,
    )


@every
@pytest.mark.parametrize(
  'leaf',
  [np.zeros((3, 4)), np.ones((3, 4)), np.full((1, 1), -2.0), np.zeros((0, 4))],
  ids=['zeros', 'constant', 'one', 'empty'],
)
def test_6_gradients_are_finite_on_odd_leaves(name, leaf):
  params = {'a': {'kernel': jnp.asarray(leaf, jnp.float32)}}
  comp = selected(name, params)
  latent, state, _ = run(comp, params, steps=2)
  grads = jax.grad(lambda l: loss(comp.view(l, state)))(latent)
  for x in leaves((latent, grads, comp.view(latent, state))):
    assert jnp.isfinite(x).all()


@every
@dtypes
def test_7_the_file_decodes_to_the_view(name, dtype):
  entry = compressors.table(compressors.kernels())[name]
  comp = selected(name)
  latent, state, _ = run(comp, compressors.params(dtype))
  encoded = comp.encode(latent, state)
  decoded = jc.decode(encoded)
  read = jc.decode(container.unpack(container.pack(encoded)).tree)
  chex.assert_trees_all_equal(read, decoded, strict=True)
  view = comp.view(latent, state)
  same = all(
    (a == b).all() for a, b in zip(leaves(decoded), leaves(view), strict=True)
  )
  chex.assert_trees_all_equal_shapes_and_dtypes(decoded, view)
  assert same == (not entry.hardens), entry.hardens


@every
def test_8_identity_is_the_unit_of_chain(name):
  kernels = compressors.kernels()
  entry = compressors.table(kernels)[name]
  alone = run(entry.comp, kernels)
  chains = (
    jc.chain(entry.comp, jc.identity()),
    jc.chain(jc.identity(), entry.comp),
  )
  for chained in chains:
    got = run(chained, kernels)
    chex.assert_trees_all_equal(
      chained.view(*got[:2]), entry.comp.view(*alone[:2])
    )
    assert forms(chained.encode(*got[:2])) == forms(
      entry.comp.encode(*alone[:2])
    )


@every
def test_8_only_the_first_of_a_chain_may_be_structural(name):
  kernels = compressors.kernels()
  entry = compressors.table(kernels)[name]
  chained = jc.chain(jc.magnitude_prune(0.5), entry.comp)
  if entry.structural:
    with pytest.raises(ValueError, match='Only the first'):
      chained.init(kernels)
  else:
    chex.assert_trees_all_equal_shapes(
      chained.view(*run(chained, kernels)[:2]), kernels
    )


@every
def test_9_select_leaves_the_rest_alone(name):
  params, comp = compressors.params(), selected(name)
  latent, state = comp.init(params)
  grads = jax.tree.map(jnp.ones_like, latent)
  for _ in range(3):
    latent, state = comp.update(latent, state, grads)
  encoded = comp.encode(latent, state)
  for layer in ('fc0', 'fc1'):
    assert isinstance(encoded[layer]['bias'], jc.encoded.Dense)
    np.testing.assert_array_equal(
      comp.view(latent, state)[layer]['bias'], params[layer]['bias']
    )


@every
def test_10_a_pattern_without_a_match_lists_the_paths(name):
  comp = compressors.table(compressors.kernels())[name].comp
  with pytest.raises(ValueError, match='conv.*fc0/bias, fc0/kernel'):
    jc.select('conv.*', comp).init(compressors.params())


@every
@dtypes
def test_11_zeros_in_are_zeros_out(name, dtype):
  entry = compressors.table(compressors.kernels())[name]
  comp, params = selected(name), compressors.params(dtype)
  latent, state, _ = run(comp, params, steps=8)
  decoded = jc.decode(
    container.unpack(container.pack(comp.encode(latent, state))).tree
  )
  kept = all(
    not decoded[layer]['kernel'][params[layer]['kernel'] == 0].any()
    for layer in ('fc0', 'fc1')
  )
  assert kept == (not entry.keeps_zeros), entry.keeps_zeros


@every
def test_12_a_restored_run_continues_bit_for_bit(name, tmp_path):
  comp, tx, params = selected(name), optimizer(), compressors.params()
  one = jax.jit(lambda c: step(comp, tx, c))
  carry = start(comp, tx, params)
  for _ in range(3):
    carry = one(carry)
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(tmp_path / 'middle', carry)
    checkpointer.wait_until_finished()
    restored = checkpointer.restore(
      tmp_path / 'middle', jax.eval_shape(lambda: start(comp, tx, params))
    )
  for _ in range(3):
    carry, restored = one(carry), one(restored)
  chex.assert_trees_all_equal(carry[0], restored[0], strict=True)
  chex.assert_trees_all_equal(
    comp.view(*carry[:2]), comp.view(*restored[:2]), strict=True
  )


@every
def test_13_a_mesh_of_eight_gives_the_same(name):
  mesh = jax.make_mesh((8,), ('shard',))
  params, comp = compressors.params(), selected(name)
  place = lambda x: jax.device_put(
    x,
    NamedSharding(
      mesh, PartitionSpec('shard' if x.shape[0] % 8 == 0 else None)
    ),
  )
  sharded = run(comp, jax.tree.map(place, params))
  alone = run(comp, params)
  chex.assert_trees_all_close(
    comp.view(*sharded[:2]), comp.view(*alone[:2]), rtol=1e-5, atol=1e-6
  )


@every
@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_15_nan_and_inf_name_the_leaf(name, bad):
  comp, params = selected(name), compressors.params()
  latent, state = comp.init(params)
  broken = dict(params, fc1=dict(params['fc1']))
  broken['fc1']['kernel'] = params['fc1']['kernel'].at[2, 3].set(bad)
  with pytest.raises(ValueError, match='fc1/kernel at init'):
    comp.init(broken)
  latent = jax.tree.map(lambda x: jnp.full_like(x, bad), latent)
  with pytest.raises(ValueError, match='fc0/.* at encode'):
    comp.encode(latent, state)
