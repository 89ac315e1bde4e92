"""Tests of weights that share values."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from jcompress.quantize import share


def make(codes, k):
  return jax.tree.map(jnp.asarray, share.group_by_code(codes, k))


def random_codes(size, k, density, seed):
  rng = np.random.default_rng(seed)
  codes = rng.integers(1, k + 1, size) * (rng.random(size) < density)
  return codes.astype(share.code_dtype(k))


@settings(max_examples=12)
@given(
  st.sampled_from([1, 2, 9]),
  st.sampled_from([0, 64, 5000]),
  st.floats(0, 1),
  st.integers(0, 99),
)
def test_gradients_are_those_of_plain_indexing(k, size, density, seed):
  state = make(random_codes(size, k, density, seed), k)
  rng = np.random.default_rng(seed)
  centers = jnp.asarray(rng.standard_normal(k), jnp.float32)
  weight = jnp.asarray(rng.standard_normal(size), jnp.float32)
  plain = lambda c: jnp.vdot(share.with_zero(c)[state.codes], weight)
  shared = lambda c: jnp.vdot(share.look_up(c, state), weight)
  want = jax.value_and_grad(plain)(centers)
  got = jax.value_and_grad(shared)(centers)
  for a, b in zip(want, got, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_half_precision_gradients_are_summed_in_float32():
  state = make(np.ones(5000, np.uint8), 1)
  total = lambda c: share.look_up(c, state).astype(jnp.float32).sum()
  grad = jax.grad(total)(jnp.ones(1, jnp.bfloat16))
  assert grad.dtype == jnp.bfloat16
  # A sum in bfloat16 would stop at 256.
  np.testing.assert_allclose(grad.astype(jnp.float32), 5000, rtol=0.01)


@pytest.mark.parametrize('size', [0, 1, 64, 1000])
@pytest.mark.parametrize('k', [1, 255, 256])
def test_every_weight_stands_in_a_block_of_its_center(size, k):
  codes = random_codes(size, k, 0.7, 0).reshape(size, 1)
  state = share.group_by_code(codes, k)
  found = np.zeros(size, int)
  for row, owner in zip(state.members, state.owners, strict=True):
    found[row[row < size]] += owner + 1
  np.testing.assert_array_equal(found, codes.ravel())
  assert (state.members[state.used :] == size).all()
  forms = share.state_form(codes.shape, k)
  for form, x in zip(forms, state, strict=True):
    assert (form.shape, form.dtype) == (x.shape, x.dtype)


def test_host_functions_see_traced_params_too():
  double = lambda p: {'b': 2 * p['a']}
  form = lambda: {'b': jax.ShapeDtypeStruct((3,), np.float32)}
  params = {'a': jnp.arange(3.0)}
  run = lambda p: share.on_host(double, form, p)
  many = jax.tree.map(lambda x: jnp.stack([x, x + 1]), params)
  np.testing.assert_array_equal(run(params)['b'], [0, 2, 4])
  np.testing.assert_array_equal(
    jax.jit(jax.vmap(run))(many)['b'], [[0, 2, 4], [2, 4, 6]]
  )


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((None, None), 'exactly one'),
    ((2, 4), 'exactly one'),
    ((16, None), 'bits is 16'),
    ((None, 65536), 'k is 65536'),
  ],
)
def test_bad_sizes_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    share.codebook_size(*arguments)
