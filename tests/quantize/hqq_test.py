import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.hqq import hqq


def weights(shape=(128, 12), seed=0):
  """Heavy tails, as the weights of language models have."""
  rng = np.random.default_rng(seed)
  return (0.02 * rng.standard_t(4, shape)).astype(np.float32)


def cost(x, zero, top, p):
  codes = np.clip(np.rint(x + zero), 0, top)
  return np.sum(np.abs(x - (codes - zero)) ** p)


def one_by_one(x, top, p, beta, growth, iterations):
  """The alternation for one group whose scale is one, weight by weight."""
  zero, seen = -min(x), []
  for _ in range(iterations):
    seen.append((cost(x, zero, top, p), zero))
    targets = []
    for v in x:
      code = min(max(round(v + zero), 0), top)
      r = v - (code - zero)
      e = 0.0
      if r:
        e = np.sign(r) * max(0.0, abs(r) - abs(r) ** (p - 1) / beta)
      targets.append(code - (v - e))
    zero, beta = sum(targets) / len(x), beta * growth
  return min(seen)[1]


@pytest.mark.parametrize('p', [0.5, 0.7, 1.0])
@pytest.mark.parametrize('bits', [2, 3])
def test_is_the_alternation_written_out(p, bits):
  top = 2**bits - 1
  for seed in range(4):
    x = np.random.default_rng(seed).uniform(-1.4, top - 1.4, 9)
    x[:2] = -1.4, top - 1.4
    leaf = hqq(
      x[:, None].astype(np.float32),
      bits,
      None,
      p=p,
      iterations=6,
      growth=1.5,
      scale_dtype='float32',
    )
    np.testing.assert_allclose(leaf.scale, [[1]], rtol=1e-6)
    want = one_by_one(x, top, p, 3.0, 1.5, 6)
    np.testing.assert_allclose(leaf.zero, [[want]], rtol=1e-4)


def test_comes_near_the_best_zero_of_all():
  x = np.random.default_rng(0).standard_t(3, 40)
  x = (x - x.min()) * 7 / np.ptp(x) - 3
  leaf = hqq(x[:, None].astype(np.float32), 3, None, scale_dtype='float32')
  all_of_them = [cost(x, z, 7, 0.7) for z in np.linspace(2, 4, 2001)]
  found = cost(x, float(leaf.zero[0, 0]), 7, 0.7)
  assert min(all_of_them) - 1e-3 <= found < cost(x, 3.0, 7, 0.7)
  assert found < np.quantile(all_of_them, 0.2)


@pytest.mark.parametrize('bits', [2, 3, 4, 8])
@pytest.mark.parametrize('group', [32, 64, None])
def test_errors_are_below_those_of_whole_zeros(bits, group):
  w = weights()
  near = jc.linear_quantize(
    bits, symmetric=False, tile=group, scale_dtype='bfloat16'
  )
  near = near.encode(*near.init(jnp.asarray(w)))
  leaf = hqq(w, bits, group)
  size = lambda x, p: np.sum(np.abs(np.asarray(x.decode(), float) - w) ** p)
  # Of 8 bits, half a float does not hold every zero.
  assert size(leaf, 0.7) < size(near, 0.7) * (1.02 if bits == 8 else 1)
  if bits < 8:
    assert size(leaf, 2) < size(near, 2)
  assert leaf.scale.shape == leaf.zero.shape == near.scale.shape


def test_the_size_of_the_weights_does_not_matter():
  w = weights()
  np.testing.assert_array_equal(
    hqq(w * 2.0**-20, 3).codes, hqq(w * 2.0**20, 3).codes
  )


def test_keeps_form_and_dtype_and_survives_the_file():
  w = jnp.asarray(weights((2, 3, 20, 5)), jnp.bfloat16)
  leaf = hqq(w, 4, 8)
  assert leaf.tile == (2, 8) and leaf.scale.shape == (1, 1, 3, 5)
  assert leaf.codes.dtype == jnp.uint8 and leaf.zero.dtype == jnp.float16
  back = jc.unpack(jc.pack({'w': leaf})).tree['w'].decode()
  assert back.dtype == jnp.bfloat16
  np.testing.assert_array_equal(back, leaf.decode())
  np.testing.assert_allclose(
    back.astype(jnp.float32), w.astype(jnp.float32), atol=0.02
  )


@pytest.mark.parametrize('value', [0, 1])
@pytest.mark.parametrize('shape', [(6, 2), (0, 2), (6, 0), (1, 1)])
def test_odd_kernels_pass(shape, value):
  x = np.full(shape, value)
  decoded = hqq(x.astype(np.float32), 3, 4).decode()
  np.testing.assert_allclose(decoded, x, atol=0.005)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 1}, 'bits is 1'),
    ({'group': 1}, 'group is 1'),
    ({'p': 0.0}, 'p=0.0'),
    ({'p': 2.0}, '0 < p <= 1'),
    ({'beta': 0.0}, 'beta=0.0'),
    ({'growth': 0.5}, 'growth=0.5'),
    ({'iterations': 0}, 'iterations is 0'),
    ({'scale_dtype': 'int8'}, 'scale_dtype'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    hqq(weights(), **{'bits': 4, **arguments})
  with pytest.raises(ValueError, match='NaN or inf'):
    hqq(weights() * np.nan, 4)
