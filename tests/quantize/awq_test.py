import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.quantize.awq import awq


def layer(inputs=64, outputs=16, examples=400, seed=0):
  """A few inputs that are much larger than the others, and weights."""
  rng = np.random.default_rng(seed)
  size = np.exp(rng.standard_normal(inputs))
  size[:3] *= 30
  x = rng.standard_normal((examples, inputs)) * size
  w = rng.standard_normal((inputs, outputs)).astype(np.float32)
  return x, w, x.T @ x / examples


def error(x, w, new):
  flat = lambda a: np.asarray(a, np.float64).reshape(x.shape[1], -1)
  return np.sum((x @ (flat(new) - flat(w))) ** 2) / np.sum((x @ flat(w)) ** 2)


def rounded(w, bits):
  comp = jc.linear_quantize(bits)
  return np.asarray(comp.view(*comp.init(jnp.asarray(w, jnp.float32))))


@pytest.mark.parametrize('bits', [3, 4])
def test_is_the_best_power_of_the_sizes(bits):
  x, w, h = layer()
  leaf, report = awq(w, h, bits, steps=4)
  sizes = np.sqrt(np.mean(x**2, 0))
  tried = {}
  for alpha in (0, 0.25, 0.5, 0.75, 1):
    s = sizes**alpha
    s = (s / np.sqrt(s.max() * s.min()))[:, None]
    factor = np.asarray((1 / s).astype(jnp.bfloat16), np.float64)
    tried[alpha] = error(x, w, rounded(w / factor, bits) * factor)
  best = min(tried, key=tried.get)
  assert report.alpha == best > 0
  assert report.error == pytest.approx(tried[best], rel=1e-3)
  assert report.nearest == pytest.approx(tried[0], rel=1e-3)
  assert report.error == pytest.approx(error(x, w, leaf.decode()), rel=1e-4)
  assert report.error < 0.6 * report.nearest


def test_sizes_may_be_given():
  x, w, h = layer()
  sizes = np.abs(x).mean(0)
  report = awq(w, h, 4, sizes=sizes)[1]
  assert report.error < 0.7 * report.nearest
  flat = awq(w, h, 4, sizes=np.ones(64))[1]
  assert flat.error == flat.nearest and flat.alpha == 0


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize(
  'what', [{}, {'group': 16, 'symmetric': False}, {'calibration': 'mse'}]
)
def test_is_never_worse_than_rounding_to_nearest(seed, what):
  rng = np.random.default_rng(seed)
  x = rng.standard_normal((100, 32))
  w = rng.standard_normal((32, 4)).astype(np.float32)
  report = awq(w, x.T @ x, 3, **what)[1]
  assert report.error <= report.nearest


def test_zeros_and_dead_inputs():
  x, w, _ = layer()
  x[:, 5], w[7] = 0, 0
  leaf, _ = awq(w, x.T @ x, 4)
  assert not np.asarray(leaf.decode())[7].any()
  assert np.isfinite(leaf.decode()).all()
  leaf, report = awq(w, np.zeros((64, 64)), 4)
  assert report.error == 0 and np.isfinite(leaf.decode()).all()


def test_keeps_the_form_of_a_convolution_and_its_dtype():
  x, w, h = layer()
  kernel = jnp.asarray(w.reshape(2, 2, 16, 16), jnp.bfloat16)
  leaf, report = awq(kernel, h, 4, group=8, scale_dtype='bfloat16')
  assert leaf.factor.shape == (2, 2, 16, 1) and leaf.part.tile == (2, 8)
  back = jc.unpack(jc.pack(leaf)).tree.decode()
  assert back.dtype == jnp.bfloat16
  assert error(x, kernel, back) == pytest.approx(report.error, rel=0.05)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'bits': 9}, 'bits is 9'),
    ({'group': 1}, 'group is 1'),
    ({'steps': 0}, 'steps is 0'),
    ({'sizes': np.ones(3)}, r'sizes is \[3\].* each of the 64'),
    ({'sizes': -np.ones(64)}, 'from -1.0 on'),
    ({'hessian': np.eye(3)}, r'\[3, 3\]; a layer of 64'),
    ({'hessian': np.tri(64)}, 'not symmetric'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  _, w, h = layer()
  with pytest.raises(ValueError, match=message):
    awq(w, **{'hessian': h, 'bits': 4, **arguments})
