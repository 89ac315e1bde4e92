import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor.tensor_train import tensor_train_factors, train_ranks

W = np.random.RandomState(0).randn(24, 30)
SHAPES = (2, 3, 4), (5, 3, 2)


def product(cores):
  wide = [np.float64(c) for c in cores]
  return np.einsum('aijb,bklc,cmnd->ikmjln', *wide).reshape(24, 30)


@pytest.mark.parametrize(
  ('rank', 'error', 'params'),
  [
    (1, 670.079360, 27),
    (2, 601.859426, 72),
    (4, 441.495652, 216),
    (8, 78.423282, 720),
    (20, 0, 884),
  ],
)
def test_errors_of_ranks(rank, error, params):
  cores = tensor_train_factors(jnp.float32(W), *SHAPES, rank)
  missed = np.square(W - product(cores)).sum()
  np.testing.assert_allclose(missed, error, rtol=1e-5, atol=1e-7)
  assert sum(c.size for c in cores) == params


def test_outputs_core_by_core():
  cores = tensor_train_factors(jnp.float32(W), *SHAPES, 4)
  x = np.random.RandomState(1).randn(24).reshape(1, 2, 3, 4)
  y = np.einsum('bijk,xipa,ajqc,ckry->bpqr', x, *cores)
  np.testing.assert_allclose(y.sum(), 7.033432, rtol=1e-4)


def test_numbers_of_large_layers():
  count = lambda shape, ins, outs, rank: sum(
    a * m * n * b
    for (m, n), a, b in zip(
      zip(ins, outs, strict=True),
      train_ranks(shape, ins, outs, rank)[:-1],
      train_ranks(shape, ins, outs, rank)[1:],
      strict=True,
    )
  )
  fc6 = (25088, 4096), (2, 7, 8, 8, 7, 4), (4,) * 6
  assert [count(*fc6, r) for r in (1, 2, 4)] == [144, 528, 2016]
  assert count((4096, 4096), (4,) * 6, (4,) * 6, 4) == 1152
  assert count((784, 300), (4, 7, 7, 4), (5, 5, 4, 3), 8) == 4288
  assert count((1024, 1024), (4, 8, 8, 4), (4, 8, 8, 4), 8) == 8448


def test_kernels_of_more_axes_fold_to_the_matrix():
  cores = tensor_train_factors(jnp.float32(W), *SHAPES, 3)
  folded = jnp.float32(W).reshape(2, 12, 30)
  for a, b in zip(tensor_train_factors(folded, *SHAPES, 3), cores, strict=True):
    np.testing.assert_array_equal(a, b)


def test_any_magnitude_zeros_and_empty_weights():
  cores = tensor_train_factors(jnp.float32(W), *SHAPES, 3)
  scaled = tensor_train_factors(jnp.ldexp(jnp.float32(W), 60), *SHAPES, 3)
  np.testing.assert_array_equal(jnp.ldexp(scaled[-1], -60), cores[-1])
  *others, last = tensor_train_factors(jnp.zeros((24, 30)), *SHAPES, 3)
  assert all(c.any() for c in others) and not last.any()
  empty = tensor_train_factors(jnp.zeros((0, 4)), (0, 1), (2, 2), 3)
  assert [c.shape[1:3] for c in empty] == [(0, 2), (1, 2)]


def test_stacked_layers_are_factored_at_once():
  stack = jnp.float32(np.random.RandomState(2).randn(2, 24, 30))
  many = jax.vmap(lambda w: tensor_train_factors(w, *SHAPES, 3))(stack)
  for i, w in enumerate(stack):
    one = product(tensor_train_factors(w, *SHAPES, 3))
    np.testing.assert_allclose(product([c[i] for c in many]), one, atol=1e-4)


@pytest.mark.parametrize(
  ('ins', 'outs'),
  [
    ((2, 3, 4), (30,)),
    ((2, 3, 5), (5, 3, 2)),
    ((5, 3, 2), (2, 3, 4)),
    ((), ()),
  ],
)
def test_shapes_that_do_not_fit_are_refused(ins, outs):
  with pytest.raises(ValueError, match='is no matrix of'):
    tensor_train_factors(jnp.float32(W), ins, outs, 2)


def test_a_rank_of_nothing_is_refused():
  with pytest.raises(ValueError, match='rank is 0'):
    tensor_train_factors(jnp.float32(W), *SHAPES, 0)
