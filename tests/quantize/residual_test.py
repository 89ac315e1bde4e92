import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.vector_kmeans import vector_kmeans

W = jax.random.normal(jax.random.key(0), (7, 24))


def squared_error(comp, w=W):
  view = comp.view(*comp.init(w))
  return float(np.square(np.asarray(view, np.float64) - w).sum())


def test_each_stage_clusters_what_the_stages_before_it_leave():
  centers, state = jc.residual_quantize(4, stages=2, seed=3).init(W)
  assert centers.shape == (2, 1, 4, 7) and state.codes.shape == (2, 24, 1)
  first = vector_kmeans(W.T, 4, seed=3)
  np.testing.assert_array_equal(state.codes[0, :, 0], first.codes)
  left = W.T - first.centers[first.codes]
  second = vector_kmeans(left, 4, seed=4)
  np.testing.assert_allclose(centers[1, 0], second.centers, atol=1e-6)
  np.testing.assert_allclose(
    squared_error(jc.residual_quantize(4, stages=2, seed=3)),
    second.distortion,
    rtol=1e-5,
  )


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('length', [None, 3])
def test_errors_do_not_grow_with_the_stages(axis, length):
  errors = [
    squared_error(jc.residual_quantize(3, stages=t, length=length, axis=axis))
    for t in (1, 2, 3)
  ]
  assert errors == sorted(errors, reverse=True)
  assert errors[-1] < 0.8 * errors[0]


def test_one_center_a_stage_is_the_mean_and_then_nothing():
  comp = jc.residual_quantize(1, stages=2, axis=1)
  centers, _ = comp.init(W)
  np.testing.assert_allclose(centers[0, 0, 0], W.mean(0), atol=1e-6)
  np.testing.assert_allclose(centers[1], 0, atol=1e-6)


@pytest.mark.parametrize('axis', [0, 1])
def test_one_stage_is_product_quantization_in_one_block(axis):
  one = jc.residual_quantize(3, stages=1, axis=axis, seed=2)
  other = jc.product_quantize(3, length=W.shape[axis], axis=axis, seed=2)
  pairs = zip(
    jax.tree.leaves(one.init(W)), jax.tree.leaves(other.init(W)), strict=True
  )
  for a, b in pairs:
    np.testing.assert_array_equal(a, b)


def test_a_codeword_for_each_vector_is_exact_after_one_stage():
  assert squared_error(jc.residual_quantize(24, stages=1)) == 0
  assert squared_error(jc.residual_quantize(24, stages=2)) == 0


def test_later_stages_make_good_for_the_rounding_of_centers():
  w = W.astype(jnp.bfloat16)
  one, two = (jc.residual_quantize(4, stages=t) for t in (1, 2))
  w64 = np.asarray(w, np.float64)
  errors = [
    np.square(np.asarray(c.view(*c.init(w)), np.float64) - w64).sum()
    for c in (one, two)
  ]
  assert errors[1] < 0.8 * errors[0]


def test_all_stages_learn():
  comp = jc.residual_quantize(3, stages=2)
  centers, state = comp.init(W)
  grads = jax.grad(lambda c: comp.view(c, state).sum())(centers)
  counts = [np.bincount(codes.ravel(), minlength=3) for codes in state.codes]
  np.testing.assert_array_equal(grads[..., 0], np.array(counts)[:, None])


def test_the_file_round_trip():
  comp = jc.residual_quantize(5, stages=3, length=4, axis=1)
  latent, state = comp.init(W)
  read = jc.unpack(jc.pack(comp.encode(latent, state))).tree
  np.testing.assert_array_equal(jc.decode(read), comp.view(latent, state))


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'stages': 0}, 'stages is 0'),
    ({'k': 0}, 'k is 0'),
    ({'length': 0}, 'length is 0'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.residual_quantize(**arguments)
