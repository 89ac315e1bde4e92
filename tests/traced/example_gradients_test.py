import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jcompress.traced.example_gradients import square_sums

KEY = jax.random.key(0)


class Net(nn.Module):
  """Convolutions, groups, a kernel used twice, biases, a scale."""

  @nn.compact
  def __call__(self, x):
    x = nn.tanh(nn.Conv(4, (3, 2), name='conv')(x))
    x = nn.Conv(4, (3, 3), strides=2, feature_group_count=2, name='group')(x)
    x = nn.LayerNorm(name='norm')(x)
    x = nn.tanh(x.reshape(x.shape[0], -1))
    twice = nn.Dense(x.shape[-1], name='twice')
    x = nn.tanh(twice(nn.tanh(twice(x))))
    return nn.Dense(3, name='out')(x)


def test_sums_are_those_of_explicit_gradients():
  x = jax.random.normal(KEY, (3, 2, 3, 2))
  params = jax.jit(Net().init)(KEY, x)['params']
  model = lambda p, example: Net().apply({'params': p}, example[None])[0]
  rows = jnp.array([[1.0, 2.0, 0.0], [0.5, -1.0, 3.0]])

  @jax.jit
  def explicit(params, x):
    jacobian = jax.vmap(jax.jacrev(model), (None, 0))(params, x)
    return jax.tree.map(
      lambda j: jnp.square(jnp.einsum('rm,nm...->nr...', rows, j)).sum((0, 1)),
      jacobian,
    )

  got = jax.jit(lambda p, x: square_sums(model, p, x, lambda _: rows))(
    params, x
  )
  want = explicit(params, x)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
    got,
    want,
  )


def test_rows_may_depend_on_the_outputs():
  model = lambda p, x: x @ p['w']
  x = jnp.array([[1.0, 2.0]])
  got = square_sums(
    model, {'w': jnp.ones((2, 1))}, x, lambda outputs: outputs[None]
  )
  np.testing.assert_allclose(got['w'], [[9.0], [36.0]])
