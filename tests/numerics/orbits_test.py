"""Known answers are those of known_answers/compact_and_distillation.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jcompress.numerics import orbits

RNG = np.random.RandomState(0)
X, K, K2 = (
  jnp.float32(RNG.randn(*s)) for s in ((7, 7, 2), (3, 3, 2, 3), (3, 3, 4, 3, 2))
)
META = jnp.float32(np.random.RandomState(5).randn(4, 4, 2, 3))
# Kind, whether inputs move along, and a base and a kernel that fit.
CASES = {
  'negation': ('negation', False, (3, 3, 2, 3), (3, 3, 2, 6)),
  'negation_odd': ('negation', False, (5, 3), (5, 5)),
  'repeat': ('repeat', False, (3,), (12,)),
  'translation': ('translation', False, (5, 4, 2, 3), (3, 3, 2, 18)),
  'p4': ('p4', False, (3, 3, 2, 3), (3, 3, 2, 12)),
  'p4_inputs': ('p4', True, (3, 3, 8, 3), (3, 3, 8, 12)),
  'p4m': ('p4m', False, (3, 3, 2, 3), (3, 3, 2, 24)),
  'p4m_inputs': ('p4m', True, (2, 2, 16, 1), (2, 2, 16, 8)),
}
every = pytest.mark.parametrize('name', CASES)


def conv(x, kernel, padding='SAME'):
  return jax.lax.conv_general_dilated(
    x[None], kernel, (1, 1), padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )[0]


def lift(x, k, kind='p4'):
  n = orbits.GROUPS[kind]
  y = conv(x, orbits.expand(k, kind, (*k.shape[:3], n * k.shape[3])))
  return y.reshape(*y.shape[:2], n, -1)


def inner(f, k, kind='p4'):
  h, w, n, n_in, n_out = k.shape
  base = k.reshape(h, w, n * n_in, n_out)
  shape = (h, w, n * n_in, n * n_out)
  y = conv(f.reshape(*f.shape[:2], -1), orbits.expand(base, kind, shape, True))
  return y.reshape(*y.shape[:2], n, n_out)


def turned(f):
  return jnp.roll(jnp.rot90(f), 1, 2)


def test_the_known_answers_of_p4():
  f = lift(X, K)
  np.testing.assert_allclose(f.sum(), -43.334439, rtol=1e-5)
  np.testing.assert_allclose(
    f[3, 3, :, 0], [6.77227, -7.24107, 0.811803, 0.867275], rtol=1e-5
  )
  g = inner(jax.nn.relu(f), K2)
  np.testing.assert_allclose(g.sum(), -7056.429289, rtol=1e-5)
  np.testing.assert_allclose(
    g[3, 3, :, 0], [-24.546072, -39.133808, -41.784271, -43.804026], rtol=1e-5
  )


def test_turned_images_have_turned_and_rolled_outputs():
  f, g = lift(X, K), lift(jnp.rot90(X), K)
  np.testing.assert_allclose(g, turned(f), atol=1e-5)
  assert np.abs(g - jnp.rot90(f)).max() > 16  # the roll forgotten
  deep = inner(jax.nn.relu(f), K2)
  again = inner(jax.nn.relu(g), K2)
  np.testing.assert_allclose(again, turned(deep), atol=1e-4)


def test_p4m_turns_and_mirrors():
  f = lift(X, K, 'p4m')
  np.testing.assert_allclose(f.sum(), -86.668878, rtol=1e-5)
  base = jnp.float32(np.random.RandomState(1).randn(3, 3, 8, 3, 2))
  turn, mirror = [3, 0, 1, 2, 7, 4, 5, 6], [4, 7, 6, 5, 0, 3, 2, 1]
  moves = [(jnp.rot90, turn), (lambda x: x[:, ::-1], mirror)]
  for move, order in moves:
    g = lift(move(X), K, 'p4m')
    want = move(f)[:, :, jnp.array(order)]
    np.testing.assert_allclose(g, want, atol=1e-5)
    deep = inner(jax.nn.relu(f), base, 'p4m')
    want = move(deep)[:, :, jnp.array(order)]
    np.testing.assert_allclose(
      inner(jax.nn.relu(g), base, 'p4m'), want, atol=2e-4
    )


def test_all_windows_of_a_larger_filter():
  kernel = orbits.expand(META, 'translation', (3, 3, 2, 12))
  y = conv(X, kernel, 'VALID')
  np.testing.assert_allclose(y.sum(), -165.637465, rtol=1e-5)
  pooled = y.reshape(5, 5, 4, 3).max(2)
  np.testing.assert_allclose(pooled.sum(), 271.291682, rtol=1e-5)
  _, counts = orbits.project(kernel, 'translation', META.shape)
  want = np.array([[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]])
  np.testing.assert_array_equal(counts[..., 0, 0], want)


@every
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_projection_and_expansion_invert_each_other(name, seed):
  kind, inputs, base, shape = CASES[name]
  rng = np.random.default_rng(seed)
  b = jnp.float32(rng.normal(size=base))
  w = orbits.expand(b, kind, shape, inputs)
  assert w.shape == shape
  back, _ = orbits.project(w, kind, base, inputs)
  np.testing.assert_array_equal(back, b)
  # What is left of any kernel is orthogonal to all that can be expanded.
  any_kernel = jnp.float32(rng.normal(size=shape))
  nearest, _ = orbits.project(any_kernel, kind, base, inputs)
  left = any_kernel - orbits.expand(nearest, kind, shape, inputs)
  np.testing.assert_allclose(np.vdot(left, w), 0, atol=1e-3)


@pytest.mark.parametrize(
  ('kind', 'base', 'shape', 'inputs'),
  [
    ('p5', (3, 3, 2, 3), (3, 3, 2, 12), False),
    ('p4', (3, 3, 2, 3), (3, 3, 2, 11), False),
    ('p4', (3, 2, 2, 3), (3, 2, 2, 12), False),
    ('p4', (3, 3, 2, 3), (3, 3, 2, 12), True),
    ('p4', (2, 3), (2, 12), False),
    ('negation', (2, 3), (2, 4), False),
    ('negation', (2, 3), (2, 6), True),
    ('negation', (), (), False),
    ('repeat', (3,), (3 * 1025,), False),
    ('repeat', (3,), (10,), False),
    ('translation', (4, 4, 2, 3), (3, 3, 2, 9), False),
    ('translation', (4, 4, 3, 3), (3, 3, 2, 12), False),
    ('translation', (4, 1, 2, 3), (3, 3, 2, 0), False),
  ],
)
def test_what_does_not_fit_is_refused(kind, base, shape, inputs):
  with pytest.raises(ValueError, match='expand|must be one of|inputs=True'):
    orbits.expand(jnp.ones(base), kind, shape, inputs)
