import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.arithmetic.binary_dot import by_words
from jcompress.arithmetic.popcount_kernels import (
  HAS_TRITON,
  differing_bits_gpu,
  differing_bits_tpu,
)

KERNELS = {
  'cuda': (differing_bits_gpu, (4, 8, 4)),
  'tpu': (differing_bits_tpu, (8, 16, 4)),
}


def random_words(*shape, seed=0):
  return jax.random.bits(jax.random.key(seed), shape, jnp.uint32)


@pytest.mark.parametrize('name', KERNELS)
@pytest.mark.parametrize(
  ('m', 'words', 'n'), [(1, 1, 1), (9, 11, 17), (8, 8, 16)]
)
def test_kernels_count_what_the_loop_counts(name, m, words, n):
  kernel, block = KERNELS[name]
  x, w = random_words(m, words), random_words(words, n, seed=1)
  got = kernel(x, w, block=block, interpret=True)
  want = np.bitwise_count(np.asarray(x)[:, :, None] ^ np.asarray(w)).sum(1)
  np.testing.assert_array_equal(got, want)
  np.testing.assert_array_equal(by_words(x, w), want)


@pytest.mark.parametrize(
  ('m', 'words', 'n'), [(1, 5, 3), (5, 33, 40), (9, 6, 70)]
)
def test_blocks_of_few_and_of_many_rows(m, words, n):
  x, w = random_words(m, words), random_words(words, n, seed=1)
  got = differing_bits_gpu(x, w, interpret=True)
  np.testing.assert_array_equal(got, by_words(x, w))


@pytest.mark.parametrize('name', KERNELS)
def test_kernels_under_vmap(name):
  kernel, block = KERNELS[name]
  x, w = random_words(2, 3, 5), random_words(2, 5, 4, seed=1)
  run = lambda x, w: kernel(x, w, block=block, interpret=True)
  got = jax.vmap(run)(x, w)
  np.testing.assert_array_equal(got[1], by_words(x[1], w[1]))


@pytest.mark.parametrize('name', KERNELS)
@pytest.mark.parametrize(('m', 'words', 'n'), [(1, 5, 10), (100, 130, 300)])
def test_kernels_can_be_compiled_for_their_platform(name, m, words, n):
  if name == 'cuda' and not HAS_TRITON:
    pytest.skip('this jax has Triton no longer, or not for long')
  x = jax.ShapeDtypeStruct((m, words), jnp.uint32)
  w = jax.ShapeDtypeStruct((words, n), jnp.uint32)
  traced = jax.jit(KERNELS[name][0]).trace(x, w)
  text = traced.lower(lowering_platforms=(name,)).as_text()
  assert {'cuda': 'triton', 'tpu': 'tpu_custom_call'}[name] in text
