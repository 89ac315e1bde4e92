import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers import as_users_call_it
from leaves import random_product

import jcompress as jc
from jcompress.encoded import (
  Blocks,
  Codebook,
  Dense,
  Factors,
  Hashed,
  LowRank,
  Quantized,
  Scaled,
  Signs,
  Sparse,
  Stacked,
  Tied,
  packed,
)

RNG = np.random.default_rng(0)
WIDE = 64
LEAF = 4 * WIDE * WIDE
X = jnp.asarray(RNG.standard_normal((2, 8)), jnp.float32)


def floats(*shape):
  return jnp.asarray(RNG.standard_normal(shape) * 0.3, jnp.float32)


def whole(*shape, k=8):
  return jnp.asarray(RNG.integers(0, k, shape), jnp.uint8)


def codebook(*shape, k=8):
  return Codebook(floats(k), whole(*shape, k=k))


def temporaries(apply_fn, *args):
  compiled = jax.jit(jc.run_packed(apply_fn)).lower(*args).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def dense_temporaries(apply_fn, *args):
  run = jax.jit(lambda t, *xs: apply_fn(jc.decode(t), *xs))
  compiled = run.lower(*args).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def assert_equal(apply_fn, tree, *inputs):
  """The same bits as from the dense network."""
  want = jax.jit(lambda t, *xs: apply_fn(jc.decode(t), *xs))(tree, *inputs)
  got = jc.run_packed(apply_fn)(tree, *inputs)
  jax.tree.map(np.testing.assert_array_equal, got, want)
  assert jax.tree.structure(got) == jax.tree.structure(want)
  return got


ROWS = {
  'codebook': codebook(8, 8),
  'blocks': Blocks(whole(8, 8), floats(4, 8), floats(8), (0, 2)),
  'quantized': Quantized(whole(8, 8), floats(1, 8), whole(1, 8)),
  'half': Quantized(whole(8, 8), floats(1, 8), dtype=jnp.dtype(jnp.bfloat16)),
  'sparse': Sparse(floats(8, 8), whole(8, 8) > 4),
  'stacked': Stacked((codebook(8), Dense(floats(8))) * 4, (1,), (8,)),
  'factors': Factors((floats(8, 2), floats(2, 8)), 'ar,rb->ab', (8, 8)),
  'low_rank': LowRank(floats(8, 2), floats(2, 8), (8, 8)),
  'scaled': Scaled(codebook(8, 8), floats(8, 1)),
  'tied': Tied(codebook(8, 4), 'negation', (8, 8)),
  'signs': Signs(whole(8, 8) > 3, floats(8)),
  'product': random_product((8, 8), 0),
  'hashed': Hashed(floats(5), jnp.uint32(3), (8, 8)),
  'dense': Dense(floats(8, 8)),
  'array': floats(8, 8),
}


def deep(params, x):
  for name in sorted(params):
    x = jnp.tanh(x @ params[name].astype(jnp.float32))
  return x


def test_every_leaf_gives_what_the_dense_network_gives():
  out = assert_equal(deep, ROWS, X)
  np.testing.assert_array_equal(jc.run_packed(deep)(packed(ROWS), X), out)


CHAIN = {f'layer{i}': codebook(WIDE, WIDE, k=16) for i in range(6)}
ROW = jnp.ones((1, WIDE))


@pytest.mark.parametrize('narrow', [lambda t: t, packed])
def test_one_leaf_at_a_time_is_dense(narrow):
  assert dense_temporaries(deep, narrow(CHAIN), ROW) > 5 * LEAF
  assert temporaries(deep, narrow(CHAIN), ROW) < 2 * LEAF


def test_casts_and_transposes_ahead_of_use_are_not_kept():
  def apply(params, x):
    ready = [2 * params[n].T.astype(jnp.float32) for n in sorted(params)]
    for kernel in ready:
      x = jnp.tanh(x @ kernel)
    return x

  rows = jnp.ones((8, WIDE))  # XLA fuses one with a transposed kernel
  half = {n: Dense(x.decode().astype(jnp.bfloat16)) for n, x in CHAIN.items()}
  for tree in (CHAIN, half):
    assert dense_temporaries(apply, tree, rows) > 5 * LEAF
    assert temporaries(apply, tree, rows) < 2 * LEAF
  assert_equal(apply, CHAIN, rows)


def test_a_batch_decodes_once_and_derivatives_pass():
  run = jax.vmap(jc.run_packed(deep), (None, 0))
  compiled = jax.jit(run).lower(CHAIN, jnp.ones((16, 1, WIDE))).compile()
  assert compiled.memory_analysis().temp_size_in_bytes < 3 * LEAF
  slope = jax.grad(lambda x: jc.run_packed(deep)(ROWS, x).sum())(X)
  want = jax.grad(lambda x: deep(jc.decode(ROWS), x).sum())(X)
  np.testing.assert_allclose(slope, want, rtol=1e-5, atol=1e-7)


def test_a_leaf_used_again_is_decoded_again():
  def apply(params, x):
    for name in (*params, *params):
      x = jnp.tanh(x @ params[name])
    return x, params['layer0']

  assert temporaries(apply, CHAIN, ROW) < 2 * LEAF
  assert_equal(apply, CHAIN, ROW)


def test_inside_calls_leaves_are_decoded_one_by_one():
  @jax.custom_jvp
  def both(a, b, x):
    return jnp.tanh(x @ a) @ b

  both.defjvps(None, None, None)

  @jax.jit
  def outer(params, x):
    return jax.checkpoint(deep)(params, both(*params.values(), x))

  pair = {n: CHAIN[n] for n in ('layer0', 'layer1')}
  assert temporaries(outer, pair, ROW) < 2 * LEAF
  assert_equal(outer, pair, ROW)


def test_loops_and_branches_take_whole_leaves():
  def apply(params, x, n):
    step = lambda x: jnp.tanh(x @ params['a'])
    x = jax.lax.fori_loop(0, n, lambda _, x: step(x), x)
    x = jax.lax.cond(n > 2, lambda x: x @ params['b'], step, x)
    last, all_ = jax.lax.scan(lambda c, b: (step(c), c + b), x, params['c'])
    return {'x': last, 'all': all_}

  tree = {'a': codebook(8, 8), 'b': ROWS['quantized'], 'c': codebook(3, 8)}
  assert_equal(apply, tree, X, jnp.int32(3))


def scanned(params, x):
  step = lambda x, p: (jnp.tanh(x @ p['w'].astype(x.dtype) + p['b']), x.sum())
  return jax.lax.scan(step, x, params, reverse=True)


def test_a_scan_goes_over_codes():
  layers = tuple(codebook(WIDE, WIDE, k=16) for _ in range(6))
  tree = {'w': Stacked(layers, (0,), (6,)), 'b': floats(6, WIDE)}
  assert temporaries(scanned, tree, ROW) < 6 * WIDE * WIDE + 1.5 * LEAF
  assert temporaries(scanned, packed(tree), ROW) < 1.5 * LEAF
  got = assert_equal(scanned, tree, ROW)
  jax.tree.map(
    np.testing.assert_array_equal,
    assert_equal(scanned, packed(tree), ROW),
    got,
  )


def test_stacks_of_other_forms_are_decoded_before_a_scan():
  biases = Stacked(
    (Dense(floats(8)), Scaled(codebook(8), floats(8))), (0,), (2,)
  )
  tree = {'w': Stacked((codebook(2, 8),) * 8, (1,), (8,)), 'b': biases}
  assert_equal(scanned, tree, X)


def test_what_depends_on_params_alone_comes_out():
  def apply(params):
    w = params['w'] - params['w'].mean()
    return w, jnp.linalg.norm(w), params['b'], jnp.sort(w)

  assert_equal(apply, {'w': codebook(8, 8), 'b': jnp.arange(3)})


def test_keys_integers_and_empty_leaves_pass():
  def apply(params, x):
    noise = jax.random.rademacher(params['key'], x.shape, x.dtype)
    return x + noise + params['n'], params['none'], params['key']

  tree = {
    'key': jc.encoded.as_it_is(jax.random.key(3)),
    'n': Dense(jnp.int32(2)),
    'none': codebook(0, 4),
  }
  got = jc.run_packed(apply)(tree, X)
  want = jax.jit(lambda t, x: apply(jc.decode(t), x))(tree, X)
  np.testing.assert_array_equal(got[0], want[0])
  assert got[1].shape == (0, 4) and got[2] == want[2]


def test_linen_and_nnx_run():
  class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Dense(16)(x)))
      return nn.Dense(3, dtype=jnp.bfloat16)(x)

  linen = Net()
  share = jc.select(jc.KERNELS, jc.kmeans_share(bits=3))
  variables = linen.init(jax.random.key(0), X)
  params = jc.compress(variables['params'], share)
  stats = variables['batch_stats']
  run = lambda p, x: linen.apply({'params': p, 'batch_stats': stats}, x)
  assert_equal(run, params, X)

  graph, state = nnx.split(nnx.Linear(8, 4, rngs=nnx.Rngs(0)))
  encoded = jc.compress(state, share)
  assert_equal(lambda s, x: nnx.merge(graph, s)(x), encoded, X)


def test_numbers_of_64_bits_are_cut_as_jax_cuts_them():
  tree = {'w': Dense(np.full((8, 2), 0.1)), 'v': codebook(2, 2)}
  assert_equal(lambda p, x: x @ p['w'] @ p['v'], tree, X)


def test_what_is_not_encoded_or_no_function_is_an_error():
  with pytest.raises(ValueError, match='Not an encoded tree.*Array'):
    jc.run_packed(deep)({'w': jnp.ones((8, 8))}, X)
  with pytest.raises(ValueError, match='w is of type str'):
    jc.run_packed(deep)({'w': 'name', 'v': ROWS['dense']}, X)
  wrong = pytest.raises(ValueError, match='of type dict: pass a function')
  with as_users_call_it(), wrong:
    jc.run_packed({})
