import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.calibration import NOTHING_SEEN, find_range, observe


def batches(scale=1.0, seed=0):
  rng = np.random.default_rng(seed)
  parts = [rng.standard_t(4, (n, 20)) * scale for n in (3, 50, 50)]
  return [np.asarray(x, np.float32) for x in parts]


def test_the_largest_magnitude_is_exact_and_its_sign_seen():
  found = jc.calibrate_activations(batches())
  assert found.limit == max(np.abs(x).max() for x in batches())
  assert found.signed and found.bits == 8
  found = jc.calibrate_activations((np.maximum(x, 0) for x in batches()), 4)
  assert found.limit == max(x.max() for x in batches())
  assert not found.signed and found.bits == 4


@pytest.mark.parametrize('percentile', [60.0, 95.0, 99.9, 100.0])
@pytest.mark.parametrize('scale', [1e-6, 1.0, 1e6])
def test_percentiles_are_those_of_what_is_not_zero(percentile, scale):
  parts = [np.maximum(x, 0) for x in batches(scale)]
  size = np.concatenate([x.ravel() for x in parts])
  size = np.sort(size[size > 0])[::-1]
  want = size[round(size.size * (1 - percentile / 100))]
  found = jc.calibrate_activations(
    parts, calibration='percentile', percentile=percentile
  )
  np.testing.assert_allclose(found.limit, want, rtol=0.005)
  if percentile == 100:
    assert found.limit == want


@pytest.mark.parametrize('bits', [2, 4, 8])
@pytest.mark.parametrize('signed', [False, True])
def test_no_other_limit_has_a_clearly_smaller_squared_error(bits, signed):
  x = np.concatenate(batches())
  x = jnp.asarray(x if signed else np.maximum(x, 0))
  error = lambda limit: jnp.sum(
    (jc.ops.linear_activation(x, limit, bits, signed=signed) - x) ** 2
  )
  found = jc.calibrate_activations([x], bits, calibration='mse')
  assert found.signed == signed
  others = [error(float(s * x.max())) for s in np.linspace(0.1, 1, 40)]
  assert error(found.limit) <= 1.01 * min(others)
  assert error(found.limit) <= 1.001 * error(float(jnp.abs(x).max()))


@pytest.mark.parametrize('calibration', ['absmax', 'percentile', 'mse'])
def test_activations_that_are_all_zero_have_a_range(calibration):
  zeros = [np.zeros((2, 3), np.float32)]
  found = jc.calibrate_activations(zeros, calibration=calibration)
  assert found == jc.ActivationRange(1.0, 8, False)


def test_what_was_seen_does_not_depend_on_the_batches():
  whole, parts = observe(NOTHING_SEEN, np.concatenate(batches())), NOTHING_SEEN
  for x in batches():
    parts = observe(parts, jnp.asarray(x))
  np.testing.assert_array_equal(whole.counts, parts.counts)
  assert whole[1:] == parts[1:]
  assert find_range(whole, calibration='mse') == find_range(
    parts, calibration='mse'
  )


@pytest.mark.parametrize(
  ('bad', 'message'),
  [
    ([], 'no activations to calibrate on'),
    ([np.zeros((0, 3))], r'batch \[0, 3\] without entries'),
    ([np.full((2, 3), np.nan)], r'batch \[2, 3\] with NaN or inf'),
    ([np.full((2, 3), np.inf)], 'with NaN or inf'),
    ([np.ones((2, 3)), np.ones((2, 4))], r'batch \[2, 4\].*shape \[3\]'),
    ([np.ones((2, 3)), np.ones(3)], r'batch \[3\].*shape \[3\]'),
  ],
)
def test_bad_batches_are_refused(bad, message):
  with pytest.raises(ValueError, match=message):
    jc.calibrate_activations(iter(bad))


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 1}, 'bits is 1'),
    ({'calibration': 'max'}, "calibration is 'max'"),
    ({'percentile': 0.0}, 'percentile is 0.0'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    jc.calibrate_activations(batches(), **arguments)
  with pytest.raises(ValueError, match=message):
    jc.calibrate_layers(lambda p, x: x @ p, jnp.eye(2), [], **arguments)


def model(params, x):
  hidden = jnp.maximum(x @ params['first']['kernel'], 0)
  return hidden @ params['second']['kernel']


PARAMS = {
  'first': {'kernel': jnp.array([[1.0, -1.0], [2.0, 0.5]])},
  'second': {'kernel': jnp.array([[1.0], [1.0]])},
}


def test_inputs_of_layers():
  parts = [np.array([[1.0, -1.0]]), np.array([[1.0, 2.0], [0.5, 0.0]])]
  found = jc.calibrate_layers(model, PARAMS, parts, 4)
  assert found == {
    'first/kernel': jc.ActivationRange(2.0, 4, True),
    'second/kernel': jc.ActivationRange(5.0, 4, False),
  }
  only = jc.calibrate_layers(model, PARAMS, parts, pattern='second/.*')
  assert only.keys() == {'second/kernel'}


def test_a_kernel_that_is_used_twice_has_one_range():
  apply_fn = lambda p, x, y: x @ p['w'] + y @ p['w']
  inputs = np.array([[1.0, 0.0]]), np.array([[-3.0, 0.0]])
  found = jc.calibrate_layers(apply_fn, {'w': jnp.eye(2)}, [inputs])
  assert found == {'w': jc.ActivationRange(3.0, 8, True)}


def test_bad_calibration_sets_of_a_model_are_refused():
  calibrate = lambda parts, **options: jc.calibrate_layers(
    model, PARAMS, parts, **options
  )
  with pytest.raises(ValueError, match='no activations'):
    calibrate([])
  with pytest.raises(ValueError, match='inputs of first/kernel.*NaN'):
    calibrate([np.full((1, 2), np.nan)])
  with pytest.raises(ValueError, match='first/kernel.*another|before'):
    calibrate([np.ones((1, 2)), np.ones((1, 3, 2))])
  with pytest.raises(ValueError, match="'third' matches no kernel.*second"):
    calibrate([np.ones((1, 2))], pattern='third')
