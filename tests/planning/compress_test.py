import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import as_users_call_it

import jcompress as jc

PARAMS = {
  'kernel': jax.random.normal(jax.random.key(0), (64, 64)),
  'bias': jnp.zeros(64),
}


def test_a_compressor_does_what_it_does_at_once():
  small = jc.compress(PARAMS, jc.select(jc.KERNELS, jc.magnitude_prune(0.75)))
  assert (jc.decode(small)['kernel'] != 0).sum() == 1024


def test_a_budget_makes_a_plan_and_a_plan_is_followed():
  plan = jc.plan(PARAMS, bits=3)
  data = jc.pack(jc.compress(PARAMS, bits=3))
  assert data == jc.pack(jc.compress(PARAMS, plan)) and len(data) == plan.size
  np.testing.assert_array_equal(jc.decode(jc.unpack(data).tree)['bias'], 0)


def test_one_way_is_to_be_given():
  with pytest.raises(ValueError, match='Both Compressor and bits were given'):
    jc.compress(PARAMS, jc.identity(), bits=3)
  with pytest.raises(ValueError, match='exactly one of size, bits and error'):
    jc.compress(PARAMS)
  wrong = pytest.raises(ValueError, match='call it, as kmeans_share')
  with as_users_call_it(), wrong:
    jc.compress(PARAMS, jc.kmeans_share)


def test_with_inputs_a_plan_is_for_what_the_network_computes_and_tuned():
  few = jax.random.normal(jax.random.key(2), (2, 512, 16))
  x = few @ jax.random.normal(jax.random.key(3), (16, 64)) / 4
  bias = jax.random.normal(jax.random.key(1), (64,))
  params = {'fc': PARAMS | {'bias': bias}}
  apply = lambda p, x: jnp.tanh(x @ p['fc']['kernel'] / 8 + p['fc']['bias'])
  off = lambda encoded: float(
    jc.losses.relative_error(
      apply(jc.decode(encoded), x[1]), apply(params, x[1])
    )
  )
  plain = jc.compress(params, size=1300)
  aware = jc.compress(params, size=1300, apply=apply, batches=[x[0]])
  tuned = jc.compress(params, size=1300, apply=apply, batches=[x[0]], steps=80)
  assert off(tuned) < off(aware) < 0.7 * off(plain)
  assert len(jc.pack(tuned)) <= 1300


def test_a_network_and_inputs_come_together():
  match = r'there are 0 batches and steps=3: give both the network'
  with pytest.raises(ValueError, match=match):
    jc.compress(PARAMS, bits=3, steps=3)
  with pytest.raises(ValueError, match='there are 1 batches and steps=0'):
    jc.compress(PARAMS, bits=3, batches=[1])
