import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress import ops
from jcompress.binarize.half_wave import half_wave_error, half_wave_levels

X = jnp.array([-1.0, 0.0, 0.3, 0.8, 1.2, 1.9, 3.0])
LEVELS = [0.538, 1.076, 1.614]

UNIFORM = {
  1: (0.79788, 0.18169),
  2: (0.53881, 0.04322),
  3: (0.32173, 0.01020),
  4: (0.18424, 0.00251),
}
BEST = {
  1: ([0.7979], 0.18169),
  2: ([0.3177, 1.0001, 1.8936], 0.028989),
  3: ([0.1457, 0.4413, 0.7504, 1.0856, 1.4675, 1.9386, 2.6251], 0.006116),
  4: (
    [0.0702, 0.2109, 0.3531, 0.4977, 0.6459, 0.7989, 0.9585, 1.1266, 1.3061]
    + [1.5009, 1.7168, 1.9632, 2.2574, 2.6366, 3.2136],
    0.00142,
  ),
}


@pytest.mark.parametrize('bits', UNIFORM)
def test_uniform_levels_of_the_paper(bits):
  levels = half_wave_levels(bits, uniform=True)
  step, error = UNIFORM[bits]
  np.testing.assert_allclose(
    levels, step * np.arange(1, 2**bits), atol=1.5e-5 * len(levels)
  )
  np.testing.assert_allclose(half_wave_error(levels), error, atol=6e-6)
  for factor in (0.999, 1.001):
    worse = [factor * q for q in levels]
    assert half_wave_error(worse) > half_wave_error(levels)


@pytest.mark.parametrize('bits', BEST)
def test_best_levels_of_the_paper(bits):
  levels, error = half_wave_levels(bits, uniform=False), BEST[bits][1]
  np.testing.assert_allclose(levels, BEST[bits][0], atol=6e-5)
  np.testing.assert_allclose(half_wave_error(levels), error, atol=4e-6)


@pytest.mark.parametrize('bits', BEST)
def test_each_best_level_is_the_mean_of_its_interval(bits):
  levels = half_wave_levels(bits, uniform=False)
  middles = [(a + b) / 2 for a, b in zip(levels, levels[1:], strict=False)]
  density = lambda t: math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
  below = lambda t: (1 + math.erf(t / math.sqrt(2))) / 2
  edges = [0.0, *middles, 40.0]
  for q, a, b in zip(levels, edges, edges[1:], strict=False):
    mean = (density(a) - density(b)) / (below(b) - below(a))
    assert abs(q - mean) < 1e-10


def test_one_level_is_the_mean_of_a_half_gaussian():
  for uniform in (False, True):
    (level,) = half_wave_levels(1, uniform)
    np.testing.assert_allclose(level, math.sqrt(2 / math.pi), rtol=1e-12)


def test_more_levels_have_less_error_and_the_best_are_better():
  for bits in (2, 3, 4):
    uniform, best = (
      half_wave_error(half_wave_levels(bits, u)) for u in (True, False)
    )
    assert best < uniform < half_wave_error(half_wave_levels(bits - 1, False))


def test_error_is_that_of_samples():
  levels = half_wave_levels(2)
  x = jax.random.normal(jax.random.key(0), (200_000,))
  error = (ops.hwgq(x, 2) - jax.nn.relu(x)) ** 2
  bound = 5 * error.std() / np.sqrt(x.size)
  assert abs(error.mean() - half_wave_error(levels)) < bound


def test_quantizer_of_known_numbers():
  got = ops.hwgq(X, levels=LEVELS)
  want = [0, 0, 0.538, 0.538, 1.076, 1.614, 1.614]
  np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
  ('gradient', 'want'),
  [
    ('relu', [0, 0, 1, 1, 1, 1, 1]),
    ('clipped', [0, 0, 1, 1, 1, 0, 0]),
    ('log_tailed', [0, 0, 1, 1, 1, 0.777605, 0.419111]),
  ],
)
def test_gradients_of_the_three_kinds(gradient, want):
  f = lambda x: ops.hwgq(x, levels=LEVELS, gradient=gradient).sum()
  np.testing.assert_allclose(jax.grad(f)(X), want, rtol=1e-5)
  ends = jnp.array([0.0, 1.614, 1e30])
  last = {'relu': 1, 'clipped': 0, 'log_tailed': 1e-30}[gradient]
  np.testing.assert_allclose(jax.grad(f)(ends), [0, 1, last], rtol=1e-5)


def test_an_input_on_a_threshold_belongs_to_the_level_below():
  thresholds = jnp.array([0.0, 1.5, 2.5])
  got = ops.hwgq(thresholds, levels=[1.0, 2.0, 3.0])
  np.testing.assert_array_equal(got, [0, 1, 2])
  above = ops.hwgq(thresholds + 1e-6, levels=[1.0, 2.0, 3.0])
  np.testing.assert_array_equal(above, [1, 2, 3])


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_the_smallest_inputs_have_the_first_level_in_each_dtype(dtype):
  x = jnp.array([[1e-6, 0.2], [-1e-6, 50.0]], dtype)
  got = jax.jit(lambda x: ops.hwgq(x, 3, uniform=False))(x)
  levels = np.asarray(half_wave_levels(3, False), dtype)
  assert got.dtype == dtype
  np.testing.assert_array_equal(got, [[levels[0]] * 2, [0, levels[-1]]])


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 0}, 'bits is 0'),
    ({'bits': 5}, 'bits is 5'),
    ({'gradient': 'tanh'}, "gradient is 'tanh'"),
    ({'levels': [1.0, 0.5]}, 'must rise'),
    ({'levels': [0.0, 0.5]}, 'must rise'),
    ({'levels': []}, 'must rise'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    ops.hwgq(X, **arguments)
