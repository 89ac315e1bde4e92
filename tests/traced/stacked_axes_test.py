import flax.linen as nn
import jax
import jax.numpy as jnp

import jcompress as jc

X = jnp.ones((2, 4))
W = jax.ShapeDtypeStruct((3, 4, 4), jnp.float32)


def found(apply_fn, params, x=X):
  return jc.stacked_axes(apply_fn, params, x)


class Block(nn.Module):
  @nn.compact
  def __call__(self, x, _):
    return nn.Dense(4)(nn.relu(nn.Dense(8)(x))), None


class Scanned(nn.Module):
  @nn.compact
  def __call__(self, x):
    layers = nn.scan(
      Block, variable_axes={'params': 0}, split_rngs={'params': True}, length=5
    )
    return nn.Dense(3)(layers()(x, None)[0])


def test_a_scanned_model_has_its_layers_along_the_first_axis():
  model = Scanned()
  params = model.init(jax.random.key(0), X)['params']
  axes = found(lambda p, x: model.apply({'params': p}, x), params)
  assert set(axes.values()) == {(0,)}
  assert [path.split('/')[-2:] for path in axes] == [
    ['Dense_0', 'bias'],
    ['Dense_0', 'kernel'],
    ['Dense_1', 'bias'],
    ['Dense_1', 'kernel'],
  ]
  kernels = {k: a for k, a in axes.items() if k.endswith('kernel')}
  comp = jc.select(jc.KERNELS, jc.magnitude_prune(0.5), stacked=kernels)
  view = comp.view(*comp.init(params))
  block = next(iter(p for k, p in view.items() if k != 'Dense_0'))
  assert ((block['Dense_0']['kernel'] == 0).sum((1, 2)) == 16).all()


def test_scans_in_scans_and_moved_axes():
  def model(p, x):
    inner = lambda x, w: (x @ w, None)
    outer = lambda x, w: (jax.lax.scan(inner, x, w)[0], None)
    return jax.lax.scan(outer, x, jnp.moveaxis(p['w'], 2, 0))[0]

  w = jax.ShapeDtypeStruct((3, 4, 2, 4), jnp.float32)
  assert found(model, {'w': w}) == {'w': (0, 2)}


def test_layers_that_are_indexed():
  def loop(p, x):
    return jax.lax.fori_loop(0, 3, lambda i, x: x @ p['w'][i], x)

  def unrolled(p, x):
    for i in range(3):
      x = x @ p['w'][i]
    return x

  some = lambda p, x: x @ p['w'][0] + x @ p['w'][1]
  assert found(loop, {'w': W}) == found(unrolled, {'w': W}) == {'w': (0,)}
  assert found(some, {'w': W}) == {}


def test_queries_keys_and_values_in_one_kernel():
  def attention(p, x):
    q, k, v = (x @ p['qkv'][:, i] for i in range(3))
    return q * k * v

  w = jax.ShapeDtypeStruct((4, 3, 4), jnp.float32)
  assert found(attention, {'qkv': w}) == {'qkv': (1,)}


def test_experts_are_a_batch_of_products():
  mixture = lambda p, x: jnp.einsum('bi,eio->ebo', x, p['w'])
  batched = lambda p, x: jnp.einsum('ebi,eio->ebo', jnp.stack([x] * 3), p['w'])
  assert found(mixture, {'w': W}) == {}  # one product with all of them
  assert found(batched, {'w': W}) == {'w': (0,)}


def test_plain_layers_tables_and_branches():
  def model(p, x):
    x = x @ p['a'] + p['table'][jnp.array([0, 2])].sum()
    return jax.lax.cond(True, lambda x: x @ p['b'][0], lambda x: x, x)

  one = jax.ShapeDtypeStruct((4, 4), jnp.float32)
  assert found(model, {'a': one, 'b': W, 'table': one}) == {}
