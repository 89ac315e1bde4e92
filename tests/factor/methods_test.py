import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.factor import methods

CASES = {
  'svd': (methods.svd(3), (3, 2, 4, 5)),
  'svd_dense': (methods.svd(3), (7, 5)),
  'svd_query': (methods.svd(3, in_axes=(0,)), (6, 2, 4)),
  'svd_out': (methods.svd(3, in_axes=(-2, 0)), (2, 4, 6)),
  'separable': (methods.separable(3), (3, 2, 4, 5)),
  'depthwise': (methods.depthwise(), (3, 2, 4, 5)),
  'tucker2': (methods.tucker2(3, 4), (3, 2, 4, 5)),
  'canonical': (methods.canonical(6), (3, 2, 4, 5)),
  'canonical_row': (methods.canonical(6), (1, 3, 4, 5)),
  'canonical_point': (methods.canonical(3), (1, 1, 4, 5)),
  'canonical_line': (methods.canonical(5), (3, 4, 5)),
  'canonical_dense': (methods.canonical(3), (7, 5)),
  'train': (methods.tensor_train((2, 3), (4, 2), 5), (6, 8)),
  'train_query': (
    methods.tensor_train((2, 3), (4, 2), 5, shape=(6, 4, 2)),
    (6, 4, 2),
  ),
  'tucker2_line': (methods.tucker2(3, 3), (3, 4, 5)),
  'tucker2_dense': (methods.tucker2(3, 3), (7, 5)),
}
every = pytest.mark.parametrize(
  ('method', 'shape'), list(CASES.values()), ids=list(CASES)
)


def kernel(shape):
  return jnp.float32(np.random.RandomState(0).randn(*shape))


@every
def test_the_plan_is_what_the_factors_are(method, shape):
  w = kernel(shape)
  factors = method.factors(w)
  stages = method.stages(shape)
  assert [f.shape for f in factors] == [s.shape for s in stages]
  assert len({s.name for s in stages}) == len(stages)
  assert method.cost(shape) == sum(f.size for f in factors)
  assert method.shape(factors) == shape
  product = np.einsum(method.equation(shape), *factors).reshape(shape)
  found = method.product(factors)
  np.testing.assert_allclose(found, product, atol=1e-5)
  # It is an approximation of this kernel, not of another one of its shape.
  error = np.square(found - w).sum() / np.square(w).sum()
  assert error < 0.9


@every
def test_methods_are_equal_by_what_they_say(method, shape):
  again = method.__class__(
    **{f: getattr(method, f) for f in method.__dataclass_fields__}
  )
  assert again == method and hash(again) == hash(method)
  assert methods.svd(3) == methods.svd(3) != methods.svd(4)
  assert methods.svd(3) != methods.separable(3)


@every
def test_products_are_in_the_dtype_of_the_factors(method, shape):
  factors = method.factors(kernel(shape).astype(jnp.bfloat16))
  assert all(f.dtype == jnp.bfloat16 for f in factors)
  assert method.product(factors).dtype == jnp.bfloat16


def test_costs_and_what_pays():
  assert methods.svd(216).pays((784, 300))
  assert not methods.svd(217).pays((784, 300))
  costs = [methods.separable(r).cost((3, 3, 4, 5)) for r in (1, 2, 4, 8)]
  assert costs == [27, 54, 108, 216]
  assert not methods.separable(8).pays((3, 3, 4, 5))
  assert methods.tucker2(3, 4).cost((3, 3, 6, 8)) == 158


def test_a_covariance_is_for_svd():
  w, x = kernel((7, 5)), np.random.RandomState(1).randn(20, 7)
  c = jnp.float32(x.T @ x)
  missed = lambda f: np.square(x @ (w - methods.svd(2).product(f))).sum()
  respond = methods.svd(2).factors(w, covariance=c)
  assert missed(respond) < missed(methods.svd(2).factors(w))
  with pytest.raises(ValueError, match='tucker2 has no closed form'):
    methods.tucker2(2, 2).factors(w, covariance=c)


def test_ranks_are_whole_and_fit():
  for rank in (0, -1):
    with pytest.raises(ValueError, match=f'svd has the rank {rank}'):
      methods.svd(rank)
  with pytest.raises(ValueError, match='allows 1 .. 5'):
    methods.svd(6).stages((7, 5))
  with pytest.raises(ValueError, match='depthwise has the rank 2; .* one'):
    methods.depthwise(2).stages((3, 3, 4, 5))
  with pytest.raises(ValueError, match='height, width, in, out'):
    methods.depthwise().cost((7, 5))
  with pytest.raises(ValueError, match='height, width, in, out'):
    methods.separable(1).cost((7, 5))


def test_depthwise_stages_have_a_group_a_channel():
  stages = methods.canonical(6).stages((3, 5, 4, 8))
  found = {s.name: (s.shape, s.groups) for s in stages}
  assert found == {
    'first': ((1, 1, 4, 6), 1),
    'vertical': ((3, 1, 1, 6), 6),
    'horizontal': ((1, 5, 1, 6), 6),
    'last': ((1, 1, 6, 8), 1),
  }


def test_a_train_is_of_one_shape():
  with pytest.raises(ValueError, match=r'tensor train of \(6, 8\)'):
    methods.tensor_train((2, 3), (4, 2), 5).stages((6, 4, 2))


def conv(x, k, groups=1):
  return jax.lax.conv_general_dilated(
    x,
    jnp.float32(k),
    (1, 1),
    'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=groups,
  )


@pytest.mark.parametrize(
  'name', ['svd', 'separable', 'depthwise', 'tucker2', 'canonical']
)
def test_the_stages_are_the_kernels_of_layers(name):
  method, shape = CASES[name]
  factors = method.factors(kernel(shape))
  x = jnp.float32(np.random.RandomState(1).randn(2, 6, 7, shape[2]))
  small = x
  for factor, stage in zip(factors, method.stages(shape), strict=True):
    small = conv(small, factor, stage.groups)
  full = conv(x, method.product(factors))
  np.testing.assert_allclose(small, full, atol=1e-4)


def test_methods_are_static_arguments():
  product = jax.jit(lambda f, method: method.product(f), static_argnums=1)
  w = kernel((7, 5))
  for method in (methods.svd(2), methods.svd(2), methods.tucker2(2, 2)):
    factors = method.factors(w)
    np.testing.assert_allclose(
      product(factors, method), method.product(factors), atol=1e-5
    )
