import jax
import jax.numpy as jnp
import leaves
import numpy as np
import pytest

from jcompress.code import layouts
from jcompress.encoded import Hashed
from jcompress.encoded.hashed import look_up

# Whose hashes give [[0, 1], [1, 0]] and the signs [[1, -1], [1, 1]] for k = 2.
SEED = jnp.uint32(288)


def test_weight_product_and_gradient_of_two_buckets():
  a, delta = jnp.array([1.0, 3.0]), jnp.array([1.0, 2.0])
  weight = lambda w: Hashed(w, SEED, (2, 2)).decode()
  w = jnp.array([0.5, 2.0])
  np.testing.assert_array_equal(weight(w), [[0.5, -2], [2, 0.5]])
  np.testing.assert_array_equal(weight(w) @ a, [-5.5, 3.5])
  grad = jax.grad(lambda w: jnp.vdot(weight(w) @ a, delta))(w)
  np.testing.assert_array_equal(grad, [7, -1])


def test_buckets_are_chosen_evenly_and_signs_by_another_hash():
  size, k = 784 * 1000, 12250
  p = jnp.arange(size, dtype=jnp.uint32)
  place = look_up(jnp.arange(1.0, k + 1), jnp.uint32(1691), p)
  index, sign = np.asarray(jnp.abs(place), int) - 1, np.sign(place)
  counts = np.bincount(index, minlength=k)
  # Chi-square of 64 a bucket, as a normal variable of mean k - 1.
  chi = ((counts - 64.0) ** 2 / 64).sum()
  assert abs(chi - (k - 1)) < 4 * np.sqrt(2 * k)
  assert 7.7 < counts.std() < 8.3
  assert abs(sign.mean()) < 3 / np.sqrt(size)
  # A bucket's members have both signs, and neighbours are independent.
  assert abs(np.corrcoef(index, sign)[0, 1]) < 4 / np.sqrt(size)
  assert abs(np.corrcoef(index[1:], index[:-1])[0, 1]) < 4 / np.sqrt(size)
  assert abs((sign[1:] * sign[:-1]).mean()) < 4 / np.sqrt(size)


def test_gradients_of_half_precision_are_summed_in_float32():
  k, shape = 2, (100, 100)
  decode = lambda b: Hashed(b, jnp.uint32(0), shape).decode()
  signs = decode(jnp.ones(k, jnp.bfloat16))
  grad = jax.grad(lambda b: (decode(b) * signs).sum())(
    jnp.ones(k, jnp.bfloat16)
  )
  assert grad.dtype == jnp.bfloat16
  # Adding ones in bfloat16 would stop at 256.
  np.testing.assert_allclose(grad.astype(float).sum(), 10000, rtol=0.01)


@pytest.mark.parametrize('shape', [(), (0, 4), (7,), (3, 3, 2, 5)])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_any_shape_survives_the_file(shape, dtype):
  leaf = Hashed(jnp.arange(1, 6).astype(dtype), jnp.uint32(7), shape)
  assert leaf.decode().shape == shape and leaf.decode().dtype == dtype
  assert leaf.bits() == 5 * leaf.buckets.dtype.itemsize * 8 + 32
  leaves.assert_same(leaf, leaves.round_trip(leaf))


def test_the_file_holds_the_buckets_and_little_else():
  leaf = Hashed(
    jax.random.normal(jax.random.key(0), (100,)), jnp.uint32(7), (80, 80)
  )
  assert len(layouts.encode(leaf, 'auto', 'w')) < 430


@pytest.mark.parametrize(
  'fields',
  [
    (jnp.zeros(0), jnp.uint32(0), (2, 2)),
    (jnp.zeros((2, 2)), jnp.uint32(0), (2, 2)),
    (jnp.zeros(2), jnp.int32(0), (2, 2)),
    (jnp.zeros(2), jnp.zeros(2, jnp.uint32), (2, 2)),
    (jnp.zeros(2), jnp.uint32(0), (2**16, 2**15)),
    (jnp.zeros(2), jnp.uint32(0), (-1, 2)),
  ],
)
def test_fields_that_do_not_fit_are_refused(fields):
  with pytest.raises(ValueError, match='do not make up a weight'):
    Hashed(*fields).decode()
