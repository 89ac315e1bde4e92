"""Every compressor obeys every law (the laws are listed in docs/why.md).

What several laws look at is computed once: all tests of a file run in one
process, and the training of a compressor in each dtype is kept there.
"""

import functools
from typing import Any, NamedTuple

import chex
import compressors
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jcompress as jc
from jcompress import tree
from jcompress.code import archive, container


def marks(name):
  """The variants wait for a whole run."""
  return [pytest.mark.slow] if name in compressors.VARIANTS else []


every = pytest.mark.parametrize(
  'name', [pytest.param(n, marks=marks(n)) for n in compressors.NAMES]
)
one_of_each = pytest.mark.parametrize(
  'name',
  [
    pytest.param(
      n, marks=[] if n in compressors.ONE_OF_EACH else [pytest.mark.slow]
    )
    for n in compressors.NAMES
  ],
)
in_dtypes = pytest.mark.parametrize(
  ('dtype', 'name'),
  [
    pytest.param(dtype, name, marks=found, id=f'{jnp.dtype(dtype)}-{name}')
    for dtype, names in (
      (jnp.float32, compressors.NAMES),
      (jnp.bfloat16, compressors.ONE_OF_EACH),
      (jnp.float16, ()),
    )
    for name in compressors.NAMES
    for found in [marks(name) if name in names else [pytest.mark.slow]]
  ],
)


def selected(name, params=None):
  params = compressors.params() if params is None else params
  entry = compressors.entry(name, tree.split(jc.KERNELS, params)[0])
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


class Training(NamedTuple):
  """A few steps of a compressor behind `select`."""

  comp: jc.Compressor
  params: Any
  tx: optax.GradientTransformation
  one: Any  # the compiled step
  traces: list[Any]  # one entry for each time that it was traced
  carries: list[Any]  # before the first step, after it, ...

  @property
  def last(self):
    return self.carries[-1][:2]


@functools.cache
def trained(name, dtype=jnp.float32):
  comp, tx, params = selected(name), optimizer(), compressors.params(dtype)
  traces = []

  @jax.jit
  def one(carry):
    traces.append(name)
    return step(comp, tx, carry)

  carries = [start(comp, tx, params)]
  for _ in range(8):
    carries.append(one(carries[-1]))
  return Training(comp, params, tx, one, traces, carries)


@functools.cache
def read_back(name, dtype):
  """The encoding of a training's end, decoded, and from its file."""
  comp, last = trained(name, dtype).comp, trained(name, dtype).last
  encoded = comp.encode(*last)
  read = archive.unpack(container.pack(encoded)).tree
  return jc.decode(encoded), jc.decode(read)


def forms(x):
  form = lambda a: (a.shape, a.dtype, getattr(a, 'weak_type', False))
  return jax.tree.structure(x), [form(a) for a in leaves(x)]


def test_names_of_what_is_slow_or_not_are_those_of_the_table():
  named = {*compressors.VARIANTS, *compressors.ONE_OF_EACH}
  assert named <= set(compressors.NAMES)
  assert not set(compressors.VARIANTS) & set(compressors.ONE_OF_EACH)


@in_dtypes
def test_1_latent_is_floats_and_state_is_arrays(name, dtype):
  latent, state, _ = trained(name, dtype).carries[0]
  for x in leaves(latent):
    assert isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)
  for x in leaves((latent, state)):
    assert isinstance(x, jax.Array) and not getattr(x, 'weak_type', False)


@in_dtypes
def test_2_view_has_the_form_of_the_params(name, dtype):
  training = trained(name, dtype)
  for carry in (training.carries[0], training.carries[-1]):
    chex.assert_trees_all_equal_shapes_and_dtypes(
      training.comp.view(*carry[:2]), training.params
    )


@every
def test_2_params_may_be_numpy_arrays(name):
  training = trained(name)
  params = jax.tree.map(np.asarray, training.params)
  carry = start(training.comp, training.tx, params)
  chex.assert_trees_all_equal(carry, training.carries[0])
  assert all(isinstance(x, jax.Array) for x in leaves(carry))
  assert forms(carry) == forms(training.carries[0])


@in_dtypes
def test_3_step_keeps_structure_and_types(name, dtype):
  training = trained(name, dtype)
  for carry in training.carries[1:]:
    assert forms(carry[:2]) == forms(training.carries[0][:2])
  assert len(training.traces) == 1


@every
def test_4_scan_equals_the_loop(name):
  training = trained(name)
  body = lambda c, _: (step(training.comp, training.tx, c), None)
  scan = jax.jit(lambda c: jax.lax.scan(body, c, None, 4)[0])
  chex.assert_trees_all_close(
    training.comp.view(*training.carries[4][:2]),
    training.comp.view(*scan(training.carries[0])[:2]),
    rtol=1e-5,
    atol=1e-6,
  )


@every
def test_5_vmap_over_seeds_equals_one_by_one(name):
  comp, params = selected(name), compressors.params()
  many = [params, jax.tree.map(lambda x: 2 * x[::-1], params)]
  stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *many)

  def one(carry, _):
    latent, state = carry
    grads = jax.grad(lambda l: loss(comp.view(l, state)))(latent)
    latent = jax.tree.map(lambda l, g: l - 0.05 * g, latent, grads)
    return comp.update(latent, state, grads), None

  def two_steps(p):
    carry, _ = jax.lax.scan(one, comp.init(p), None, 2)
    return comp.view(*carry)

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
  'odd',
  [
    pytest.param([np.zeros((3, 4))], id='zeros', marks=pytest.mark.slow),
    pytest.param([np.zeros((0, 4))], id='empty', marks=pytest.mark.slow),
    pytest.param(
      [
        np.ones((3, 4)),
        np.full((1, 1), -2.0),
        np.zeros((3, 4)),
        np.zeros((0, 4)),
      ],
      id='together',
    ),
  ],
)
def test_6_gradients_are_finite_on_odd_leaves(name, odd):
  params = {
    str(i): {'kernel': jnp.asarray(x, jnp.float32)} for i, x in enumerate(odd)
  }
  comp, tx = selected(name, params), optimizer()
  carry = start(comp, tx, params)
  one = jax.jit(lambda c: (comp.view(*c[:2]), step(comp, tx, c)))
  for _ in range(3):  # a gradient that is not finite shows in the next latent
    seen, carry = one(carry)
    for x in leaves((seen, carry[0])):
      assert jnp.isfinite(x).all()


@in_dtypes
def test_7_the_file_decodes_to_the_view(name, dtype):
  entry = compressors.entry(name, compressors.kernels())
  training = trained(name, dtype)
  decoded, read = read_back(name, dtype)
  chex.assert_trees_all_equal(read, decoded, strict=True)
  view = training.comp.view(*training.last)
  chex.assert_trees_all_equal_shapes_and_dtypes(decoded, view)
  same = all(
    (a == b).all() for a, b in zip(leaves(decoded), leaves(view), strict=True)
  )
  assert same == (not entry.hardens), entry.hardens


@every
def test_8_identity_is_the_unit_of_chain(name):
  comp = compressors.entry(name, compressors.kernels()).comp
  assert jc.chain(comp, jc.identity()) == comp
  assert jc.chain(jc.identity(), comp) == comp


@every
def test_8_only_the_first_of_a_chain_may_be_structural(name):
  kernels = compressors.kernels()
  entry = compressors.entry(name, kernels)
  chained = jc.chain(jc.magnitude_prune(0.5), entry.comp)
  if entry.structural:
    with pytest.raises(ValueError, match='Only the first'):
      chained.init(kernels)
  else:
    tx = optimizer()
    seen = jax.eval_shape(
      lambda p: chained.view(*step(chained, tx, start(chained, tx, p))[:2]),
      kernels,
    )
    chex.assert_trees_all_equal_shapes(seen, kernels)


@every
def test_9_select_leaves_the_rest_alone(name):
  params, comp = compressors.params(), trained(name).comp
  latent, state, _ = trained(name).carries[0]
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
  comp = compressors.entry(name, compressors.kernels()).comp
  with pytest.raises(ValueError, match='conv.*fc0/bias, fc0/kernel'):
    jc.select('conv.*', comp).init(compressors.params())


@in_dtypes
def test_11_zeros_in_are_zeros_out(name, dtype):
  entry = compressors.entry(name, compressors.kernels())
  params, (_, read) = trained(name, dtype).params, read_back(name, dtype)
  kept = all(
    not read[layer]['kernel'][params[layer]['kernel'] == 0].any()
    for layer in ('fc0', 'fc1')
  )
  assert kept == (not entry.keeps_zeros), entry.keeps_zeros


@pytest.fixture(scope='module')
def checkpointer():
  with ocp.StandardCheckpointer() as found:
    yield found


@one_of_each
def test_12_a_restored_run_continues_bit_for_bit(name, tmp_path, checkpointer):
  training = trained(name)
  carry = training.carries[3]
  checkpointer.save(tmp_path / 'middle', carry)
  checkpointer.wait_until_finished()
  forms = jax.eval_shape(lambda: carry)
  carry = checkpointer.restore(tmp_path / 'middle', forms)
  for _ in range(3):
    carry = training.one(carry)
  want = training.carries[6]
  chex.assert_trees_all_equal(carry[0], want[0], strict=True)
  view = training.comp.view
  chex.assert_trees_all_equal(view(*carry[:2]), view(*want[:2]), strict=True)


@one_of_each
@pytest.mark.parametrize(
  'kind',
  [
    pytest.param(AxisType.Auto, id='auto', marks=pytest.mark.slow),
    pytest.param(AxisType.Explicit, id='explicit'),
  ],
)
def test_13_a_mesh_of_eight_gives_the_same(name, kind):
  mesh = jax.make_mesh((8,), ('shard',), axis_types=(kind,))
  params, comp = compressors.params(), selected(name)
  place = lambda x: jax.device_put(
    x,
    NamedSharding(
      mesh, PartitionSpec('shard' if x.shape[0] % 8 == 0 else None)
    ),
  )
  sharded = run(comp, jax.tree.map(place, params))
  alone = trained(name).carries[5]
  chex.assert_trees_all_close(
    comp.view(*sharded[:2]), comp.view(*alone[:2]), rtol=1e-5, atol=1e-6
  )


@every
@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_15_nan_and_inf_name_the_leaf(name, bad):
  comp, params = trained(name).comp, compressors.params()
  latent, state, _ = trained(name).carries[0]
  broken = dict(params, fc1=dict(params['fc1']))
  broken['fc1']['kernel'] = params['fc1']['kernel'].at[2, 3].set(bad)
  if name == 'identity':  # computes nothing
    shipped = jc.decode(comp.encode(*comp.init(broken)))
    np.testing.assert_array_equal(
      shipped['fc1']['kernel'], broken['fc1']['kernel']
    )
    return
  with pytest.raises(ValueError, match='fc1/kernel at init'):
    comp.init(broken)
  latent = jax.tree.map(lambda x: jnp.full_like(x, bad), latent)
  with pytest.raises(ValueError, match='fc0/.* at encode'):
    comp.encode(latent, state)


@every
def test_16_what_is_shipped_at_once_keeps_the_promise_of_step_0(name):
  latent, state, _ = trained(name).carries[0]
  decoded = jc.decode(trained(name).comp.encode(latent, state))
  kernels = [np.asarray(decoded[layer]['kernel']) for layer in ('fc0', 'fc1')]
  if name in compressors.NONZEROS:
    count = sum(np.count_nonzero(k) for k in kernels)
    assert count == compressors.NONZEROS[name]
  if name in compressors.VALUES:
    for k in kernels:
      assert len(np.unique(k[k != 0])) <= compressors.VALUES[name]


@every
def test_17_an_array_of_zeros_learns(name):
  params = compressors.params()
  params['fc1']['kernel'] = jnp.zeros((6, 4))
  training = trained(name)
  comp = training.comp
  carry = start(comp, training.tx, params)
  for _ in range(12):
    carry = training.one(carry)
  latent, state, _ = carry
  error = lambda p: jnp.mean((p['fc1']['kernel'] - 0.7) ** 2)
  shown = comp.view(latent, state)
  shipped = jc.decode(comp.encode(latent, state))
  learns = min(error(shown), error(shipped)) < 0.47  # 0.49 at the start
  zeros_stay = compressors.entry(name, compressors.kernels()).zeros_stay
  assert learns == (not zeros_stay), zeros_stay


def buffers(x):
  """Where the arrays of a tree lie."""
  words = lambda a: jax.random.key_data(a) if tree.is_key(a) else a
  return [words(a).unsafe_buffer_pointer() for a in leaves(x) if a.size]


@every
def test_19_what_init_gives_shares_no_buffer(name):
  training = trained(name)
  mine = buffers(training.carries[0][:2])
  assert len(set(mine)) == len(mine)
  assert not set(mine) & set(buffers(training.params))


@every
def test_20_moments_are_float32_whatever_the_params_are(name):
  """What a state holds in half precision are values of weights."""
  held = ('kernel', 'centers', 'value')
  init = selected(name).init
  _, state = jax.eval_shape(init, compressors.params(jnp.bfloat16))
  for path, x in jax.tree_util.tree_leaves_with_path(state):
    if jnp.issubdtype(x.dtype, jnp.floating) and x.dtype != jnp.float32:
      assert jax.tree_util.keystr(path[-1:], simple=True) in held, path


class Network(nnx.Module):
  """The params of the table as nnx holds them."""

  def __init__(self, params):
    for name, layer in params.items():
      form = nnx.Linear(*layer['kernel'].shape, rngs=nnx.Rngs(0))
      for part, value in layer.items():
        setattr(form, part, nnx.Param(value))
      setattr(self, name, form)


@one_of_each
def test_21_the_stock_loop_of_nnx_is_the_hand_written_one(name):
  """Only the step is compiled, once for both loops."""
  comp, params = selected(name), compressors.params()
  stock = jc.as_optax(comp, optimizer())
  tx = optax.GradientTransformation(stock.init, jax.jit(stock.update))
  model = Network(params)
  loop = nnx.Optimizer(model, tx, wrt=nnx.Param)
  params = nnx.to_pure_dict(nnx.state(model, nnx.Param))
  opt_state = tx.init(params)
  for _ in range(3):
    grads = jax.tree.map(lambda w: w - 0.7, nnx.state(model, nnx.Param))
    loop.update(model, grads)
    updates, opt_state = tx.update(nnx.to_pure_dict(grads), opt_state, params)
    params = optax.apply_updates(params, updates)
  chex.assert_trees_all_equal(
    nnx.to_pure_dict(nnx.state(model, nnx.Param)), params
  )
  # One is made of a state of nnx, the other of dicts.
  ship = lambda s: jax.tree.leaves(comp.encode(s.latent, s.state))
  chex.assert_trees_all_equal(ship(loop.opt_state), ship(opt_state))
