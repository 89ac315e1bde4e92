import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.binarize import latent


def test_fans_count_the_window():
  assert latent.fans((784, 1024)) == (784, 1024)
  assert latent.fans((3, 5, 16, 128)) == (240, 1920)
  with pytest.raises(ValueError, match=r'shape \[7\] has no fan-in'):
    latent.fans((7,))


def test_a_filter_is_all_that_feeds_one_output():
  assert latent.filter_axes('filter', 4) == (0, 1, 2)
  assert latent.filter_axes('layer', 4) == (0, 1, 2, 3)
  assert latent.filter_axes('filter', 1) == ()
  with pytest.raises(ValueError, match="scope is 'row'"):
    latent.require_scope('row')


def test_clipping_keeps_the_dtype():
  w = jnp.array([-3.0, 0.25, 2.0], jnp.bfloat16)
  got = latent.clip_to(w, 0.5)
  assert got.dtype == jnp.bfloat16
  np.testing.assert_array_equal(got, [-0.5, 0.25, 0.5])


def test_what_is_certain_happens_and_what_is_not_does_not():
  chance = jnp.concatenate([jnp.zeros(1000), jnp.ones(1000)])
  got = latent.happens(jax.random.key(0), chance)
  np.testing.assert_array_equal(got, chance == 1)


def test_keys_of_a_step_and_of_the_next_differ():
  key = jax.random.key(0)
  data = [
    jax.random.key_data(k)
    for k in (key, latent.draw_key(key), latent.next_key(key))
  ]
  assert len({tuple(np.asarray(d)) for d in data}) == 3


def test_each_array_gets_its_own_key_and_other_state_stays():
  def init(w):
    return w, (jax.random.key(3), w > 0)

  comp = latent.distinct_keys(
    jc.leafwise(init, lambda w, s: w, lambda w, s: jc.encoded.Dense(w))
  )
  w = {'a': jnp.ones(2), 'b': jnp.ones(2)}
  _, state = comp.init(w)
  a, b = (jax.random.key_data(state[k][0]) for k in 'ab')
  assert (a != b).any()
  np.testing.assert_array_equal(state['a'][1], [True, True])
  again = jax.random.key_data(comp.init(w)[1]['b'][0])
  np.testing.assert_array_equal(again, b)


def test_codes_are_looked_up():
  table = jnp.array([0.5, -1.0, 2.0])
  codes = jnp.array([[2, 0], [1, 1]], jnp.uint8)
  np.testing.assert_array_equal(
    latent.look_up(table, codes), [[2, 0.5], [-1, -1]]
  )
