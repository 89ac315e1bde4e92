from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jcompress as jc


class Polar(NamedTuple):
  radius: jax.Array
  angle: jax.Array


def spiral():
  """A compressor whose latent of one array is not one array."""
  return jc.leafwise(
    init=lambda w: (Polar(jnp.abs(w), jnp.zeros_like(w)), (w < 0,)),
    view=lambda l, s: jnp.where(s[0], -1, 1) * l.radius * jnp.cos(l.angle),
    encode=lambda l, s: jc.encoded.Dense(l.radius),
    penalty=lambda l, s: l.radius.sum(),
    update=lambda l, s, g: (Polar(l.radius - g.radius, l.angle), s),
  )


PARAMS = {'a': jnp.array([1.0, -2.0]), 'b': [jnp.array(3.0)]}


def test_leafwise_lifts_latents_with_parts():
  comp = spiral()
  latent, state = comp.init(PARAMS)
  view = comp.view(latent, state)
  np.testing.assert_array_equal(view['a'], [1, -2])
  assert comp.penalty(latent, state) == 6
  grads = jax.grad(lambda l: comp.penalty(l, state))(latent)
  latent, _ = comp.update(latent, state, grads)
  np.testing.assert_array_equal(comp.encode(latent, state)['a'].values, [0, 1])
