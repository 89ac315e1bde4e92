import itertools
import math

import jax
import jax.numpy as jnp
import leaves
import numpy as np
import pytest

from jcompress.encoded import Product


def decode_by_loops(leaf):
  """Entry by entry, in float64."""
  centers, codes = np.asarray(leaf.centers, np.float64), np.asarray(leaf.codes)
  weight = np.zeros(leaf.shape)
  for place in itertools.product(*map(range, leaf.shape)):
    others = place[: leaf.axis] + place[leaf.axis + 1 :]
    b, i = divmod(place[leaf.axis], centers.shape[3])
    for t in range(len(centers)):
      weight[place] += centers[t, b, codes[(t, *others, b)], i]
  return weight


def test_a_weight_by_hand():
  centers = jnp.array([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 0.0], [6.0, 0.0]]]])
  codes = jnp.array([[[0, 1], [1, 1], [1, 0]]], jnp.uint8)
  rows = Product(centers, codes, 1, (3, 3))
  np.testing.assert_array_equal(
    rows.decode(), [[1, 2, 6], [3, 4, 6], [3, 4, 5]]
  )
  columns = Product(centers, codes, 0, (3, 3))
  np.testing.assert_array_equal(columns.decode(), rows.decode().T)
  # Eight numbers, and 3 ones of 6 codes.
  assert rows.bits() == 8 * 32 + 6 * (math.log2(6) - (2 * 1 + 4 * 2) / 6)


@pytest.mark.parametrize('stages', [1, 3])
@pytest.mark.parametrize(
  ('shape', 'axis', 'length'),
  [((5, 4), 0, 3), ((5, 4), 1, 4), ((2, 3, 5, 2), 2, 2), ((3, 2, 2), 2, 7)],
)
def test_entries_are_sums_of_centers(shape, axis, length, stages):
  leaf = leaves.random_product(shape, axis, stages=stages, length=length)
  np.testing.assert_allclose(leaf.decode(), decode_by_loops(leaf), atol=1e-6)


def test_stages_are_added_in_float32():
  centers = jnp.array([256.0, 1.0, 1.0], jnp.bfloat16).reshape(3, 1, 1, 1)
  leaf = Product(centers, jnp.zeros((3, 1, 1), jnp.uint8), 0, (1, 1))
  # 257 and 258 both lie half way between bfloat16 numbers, or on one.
  assert leaf.decode().dtype == jnp.bfloat16
  assert float(leaf.decode()[0, 0]) == 258


@pytest.mark.parametrize(
  ('length', 'k', 'ratio'),
  [
    (4, 4, 60.24),
    (4, 8, 39.38),
    (4, 16, 28.44),
    (2, 8, 20.48),
    (2, 16, 15.06),
    (8, 16, 51.20),
  ],
)
def test_ratios_of_product_quantization(length, k, ratio):
  m = n = 4096
  blocks = n // length
  codes = (np.arange(m * blocks) % k).astype(np.uint8)
  centers = np.zeros((1, blocks, k, length), np.float32)
  leaf = Product(centers, codes.reshape(1, m, blocks), 1, (m, n))
  assert leaf.bits() == 32 * k * n + m * blocks * math.log2(k)
  assert round(32 * m * n / leaf.bits(), 2) == ratio


@pytest.mark.parametrize(
  ('stages', 'k', 'ratio'), [(1, 256, 15.98), (2, 256, 7.99), (4, 128, 7.99)]
)
def test_ratios_of_residual_quantization(stages, k, ratio):
  m = n = 4096
  codes = np.tile(np.arange(m) % k, (stages, 1)).astype(np.uint8)
  centers = np.zeros((stages, 1, k, n), np.float32)
  leaf = Product(centers, codes[..., None], 1, (m, n))
  assert leaf.bits() == stages * (32 * k * n + m * math.log2(k))
  assert round(32 * m * n / leaf.bits(), 2) == ratio


@pytest.mark.parametrize(
  ('sizes', 'ratio'),
  [((784, 1000, 10), 12.083), ((784, 1000, 1000, 1000, 10), 13.443)],
)
def test_ratios_of_the_mnist_networks_of_wu_et_al(sizes, ratio):
  *layers, last = itertools.pairwise(sizes)
  dense = 32 * sum(m * n for m, n in (*layers, last))
  total = 32 * last[0] * last[1]  # stays as it is
  for m, n in layers:
    codes = (np.arange(n * m // 4) % 32).astype(np.uint8)
    centers = np.zeros((1, m // 4, 32, 4), np.float32)
    leaf = Product(centers, codes.reshape(1, n, m // 4), 0, (m, n))
    total += leaf.bits()
  assert round(dense / total, 3) == ratio


def form(shape, axis, k, length):
  """A leaf of no data: only the counts are wanted."""
  blocks = -(-shape[axis] // length)
  centers = jax.ShapeDtypeStruct((1, blocks, k, length), jnp.float32)
  return Product(centers, None, axis, shape)


def test_operations_of_alexnet_are_those_of_the_released_codebooks():
  conv = [
    (form((11, 11, 3, 96), 2, 128, 8), 227, 55, 1),
    (form((5, 5, 48, 256), 2, 128, 8), 27, 27, 2),
    (form((3, 3, 256, 384), 2, 128, 8), 13, 13, 1),
    (form((3, 3, 192, 384), 2, 128, 8), 13, 13, 2),
    (form((3, 3, 192, 256), 2, 128, 8), 13, 13, 2),
  ]
  dense = [
    form((9216, 4096), 0, 32, 4),
    form((4096, 4096), 0, 32, 4),
    form((4096, 1000), 0, 16, 1),
  ]
  counts = [
    leaf.operations(size**2, out**2, groups) for leaf, size, out, groups in conv
  ] + [leaf.operations() for leaf in dense]
  assert counts[0].multiply_adds == 227**2 * 3 * 128
  assert counts[0].additions == 55**2 * 11**2 * 96
  ratios = [c.dense / (c.multiply_adds + c.additions) for c in counts]
  want = [1.92, 6.06, 6.17, 5.02, 4.24, 3.88, 3.88, 0.98]
  np.testing.assert_array_equal(np.round(ratios, 2), want)
  total = sum(c.multiply_adds + c.additions for c in counts)
  assert round(sum(c.dense for c in counts) / 1e6, 2) == 724.41
  assert round(sum(c.dense for c in counts) / total, 3) == 4.156


def test_operations_along_outputs_and_of_stages():
  leaf = leaves.random_product((6, 8), 1, stages=3, k=5, length=4)
  assert leaf.operations(10) == (10 * 8 * 5 * 3, 10 * 6 * 2 * 3, 10 * 6 * 8)


@pytest.mark.parametrize('shape', [(0, 4), (4, 0)])
@pytest.mark.parametrize('axis', [0, 1])
def test_empty_weights(shape, axis):
  leaf = leaves.random_product(shape, axis)
  assert leaf.decode().shape == shape
  assert leaf.matmul(jnp.ones((2, shape[0]))).shape == (2, shape[1])
  leaves.assert_same(leaves.round_trip(leaf), leaf)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_a_leaf_survives_the_file(dtype):
  leaf = leaves.random_product((3, 3, 5, 4), 2, stages=2, dtype=dtype)
  back = leaves.round_trip(leaf)
  leaves.assert_same(back, leaf)
  assert jax.tree.structure(back) == jax.tree.structure(leaf)
  assert back.codes.dtype == jnp.uint8


@pytest.mark.parametrize(
  ('axis', 'shape'), [(0, (7, 4)), (0, (5, 3)), (1, (5, 4)), (2, (5, 4))]
)
def test_fields_that_do_not_fit_are_refused(axis, shape):
  leaf = leaves.random_product((5, 4), 0)
  with pytest.raises(ValueError, match='do not make up a weight'):
    Product(leaf.centers, leaf.codes, axis, shape).decode()


def test_bad_products_are_refused():
  matrix, kernel = (
    leaves.random_product((5, 4), 0),
    leaves.random_product((3, 3, 4, 4), 2),
  )
  with pytest.raises(ValueError, match='wants a matrix'):
    kernel.matmul(jnp.ones((1, 4)))
  with pytest.raises(ValueError, match='last axis must be 5'):
    matrix.matmul(jnp.ones((5, 4)))
  with pytest.raises(ValueError, match='wants a kernel'):
    matrix.conv(jnp.ones((1, 4, 4, 5)))
  with pytest.raises(ValueError, match='along axis 3'):
    leaves.random_product((3, 3, 4, 4), 3).conv(jnp.ones((1, 4, 4, 4)))
  x = jnp.ones((1, 4, 4, 4))
  with pytest.raises(ValueError, match='does not fit'):
    kernel.conv(x[..., :3])
  with pytest.raises(ValueError, match='must divide the 4 outputs'):
    kernel.conv(x, groups=3)
  with pytest.raises(ValueError, match='strides=.0, 1. be positive'):
    kernel.conv(x, (0, 1))
  with pytest.raises(ValueError, match="padding is 'FULL'"):
    kernel.conv(x, padding='FULL')
  with pytest.raises(ValueError, match='No product with a weight'):
    leaves.random_product((3, 4, 4), 1).operations()
  with pytest.raises(ValueError, match='as many outputs'):
    matrix.operations(3, 2)
