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
