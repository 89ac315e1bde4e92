import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcompress as jc
from jcompress import models, tree
from jcompress.traced import layers as layers_lib

KEY = jax.random.key(0)


class Zoo(nn.Module):
  """One of each kind of layer."""

  @nn.compact
  def __call__(self, x, words):
    x = nn.Conv(8, (3, 3), feature_group_count=2, name='grouped')(x)
    x = nn.Conv(8, (3, 2), feature_group_count=8, strides=2, name='depth')(x)
    x = nn.ConvTranspose(6, (3, 3), strides=(2, 2), name='up')(x)
    x = nn.ConvTranspose(
      5, (3, 2), strides=(2, 2), transpose_kernel=True, name='flipped'
    )(x)
    x = nn.relu(x).reshape(x.shape[0], -1)
    x = nn.Dense(12, name='dense', dtype=jnp.float32)(x)
    x = nn.DenseGeneral((3, 4), name='heads')(x)
    x = nn.Einsum((3, 4, 5), 'bhd,hdk->bhk', name='einsum')(x)
    x = nn.DenseGeneral(10, axis=(-2, -1), name='merge')(x)
    embed = nn.Embed(7, 10, name='embed')
    return embed.attend(x + embed(words))


def zoo():
  x = jax.random.normal(KEY, (2, 8, 8, 4))
  words = jnp.array([3, 6])
  params = jax.jit(Zoo().init)(KEY, x, words)['params']
  apply_fn = lambda p, *inputs: Zoo().apply({'params': p}, *inputs)
  return apply_fn, params, (x, words)


AXES = {  # kind, summed over, output units, groups
  'grouped/kernel': ('conv', (0, 1, 2), (3,), 2),
  'depth/kernel': ('conv', (0, 1, 2), (3,), 8),
  'up/kernel': ('conv', (0, 1, 2), (3,), 1),
  'flipped/kernel': ('conv', (0, 1, 3), (2,), 1),
  'dense/kernel': ('dense', (0,), (1,), 1),
  'heads/kernel': ('dense', (0,), (1, 2), 1),
  'einsum/kernel': ('dense', (1,), (0, 2), 3),
  'merge/kernel': ('dense', (0, 1), (2,), 1),
}


def test_axes_of_every_kind_of_layer():
  apply_fn, params, inputs = zoo()
  found = layers_lib.layers(apply_fn, params, *inputs)
  got = [(x.path, (x.kind, x.in_axes, x.out_axes, x.groups)) for x in found]
  looked_up, attended = got[-2:]
  assert dict(got[:-2]) == AXES and len(got) == len(AXES) + 2
  assert looked_up == ('embed/embedding', ('embed', (), (0,), 1))
  assert attended == ('embed/embedding', ('dense', (1,), (0,), 1))


def test_shapes_are_enough():
  apply_fn, params, inputs = zoo()
  shapes = jax.eval_shape(lambda x: x, params)
  found = layers_lib.layers(
    apply_fn, shapes, *jax.eval_shape(lambda x: x, inputs)
  )
  assert len(found) == len(AXES) + 2


def test_rows_times_matrix_is_the_response():
  apply_fn, params, inputs = zoo()
  seen = []

  def call(layer, x, kernel):
    y = layer(x, kernel)
    if layer.kind != 'embed':
      np.testing.assert_array_equal(layer.kernel(layer.matrix(kernel)), kernel)
      rows = layer.unfold(x)
      assert rows.shape[0] == layer.groups
      np.testing.assert_allclose(
        rows @ layer.matrix(kernel), layer.response(y), rtol=1e-4, atol=1e-5
      )
      seen.append(layer.path)
    return y

  out = layers_lib.evaluate(apply_fn, params, *inputs, call=call)
  np.testing.assert_array_equal(out, apply_fn(params, *inputs))
  assert len(seen) == len(AXES) + 1


def test_replaced_layers_are_run_under_jit():
  apply_fn = lambda p, x: jax.nn.relu(x @ p['a']) @ p['b']
  params = {'a': jnp.eye(2), 'b': jnp.ones((2, 1))}
  double = lambda layer, x, w: 2 * layer(x, w)
  run = jax.jit(lambda p, x: layers_lib.evaluate(apply_fn, p, x, call=double))
  np.testing.assert_array_equal(run(params, jnp.array([[1.0, -1.0]])), [[4.0]])


def test_a_kernel_on_the_left_and_one_transposed():
  apply_fn = lambda p, x: (p['a'] @ x.T).T @ p['b'].T
  params = {'a': jnp.ones((4, 3)), 'b': jnp.ones((5, 4))}
  found = layers_lib.layers(apply_fn, params, jnp.ones((2, 3)))
  assert [(x.path, x.in_axes) for x in found] == [('a', (1,)), ('b', (1,))]


def test_a_changed_kernel_is_not_a_layer():
  apply_fn = lambda p, x: x @ (2 * p['a']) + x @ (p['b'] @ p['c'])
  params = {n: jnp.eye(3) for n in 'abc'}
  assert layers_lib.layers(apply_fn, params, jnp.ones((1, 3))) == []


def test_nnx_paths():
  model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
  graph, state = nnx.split(model)
  found = layers_lib.layers(
    lambda s, x: nnx.merge(graph, s)(x), state, jnp.ones((1, 3))
  )
  assert [x.path for x in found] == ['kernel']


def test_half_precision_models_cast_their_kernels():
  model = nn.Dense(3, dtype=jnp.bfloat16)
  x = jnp.ones((2, 4))
  params = model.init(KEY, x)['params']
  apply_fn = lambda p, x: model.apply({'params': p}, x)
  (layer,) = layers_lib.layers(apply_fn, params, x)
  y = layer(x.astype(jnp.bfloat16), params['kernel'])
  assert y.dtype == jnp.bfloat16 and layer.in_axes == (0,)


def test_scale_axes_select_by_path():
  apply_fn, params, inputs = zoo()
  for layer in layers_lib.layers(apply_fn, params, *inputs):
    (kernel,) = jax.tree.leaves(tree.split(layer.path, params)[0])
    assert set(layer.in_axes + layer.out_axes) <= set(range(kernel.ndim))


def test_only_wants_each_kernel_used_once():
  apply_fn = lambda p, x: x @ p['a'] @ p['a'] @ p['b'] + p['c'][0]
  params = {n: jnp.eye(2) for n in 'abc'}
  found = layers_lib.layers(apply_fn, params, jnp.ones((1, 2)))
  assert list(layers_lib.only(found, ['b'])) == ['b']
  with pytest.raises(ValueError, match='a used by more than one'):
    layers_lib.only(found, ['b', 'a'])
  with pytest.raises(ValueError, match='No layer multiplies with c'):
    layers_lib.only(found, ['c', 'b'])


def test_a_look_up_has_no_rows():
  apply_fn, params, inputs = zoo()
  layer = layers_lib.layers(apply_fn, params, *inputs)[-2]
  with pytest.raises(ValueError, match='embed/embedding is looked up'):
    layer.unfold(inputs[1])


def test_every_kernel_of_the_bundled_models_is_found():
  for name in ('lenet5', 'lenet_300_100'):
    model = models.build(name)
    x = jnp.zeros((1, 28, 28, 1))
    params = model.init(KEY, x)['params']
    found = layers_lib.layers(
      lambda p, x, m=model: m.apply({'params': p}, x), params, x
    )
    paths = [x.path for x in found]
    assert sorted(paths) == tree.paths(tree.split(jc.KERNELS, params)[0])
