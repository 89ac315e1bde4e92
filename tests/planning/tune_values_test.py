import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_leaf import leaves
from planner_test import PARAMS, X, apply, error

import jcompress as jc
from jcompress import tree
from jcompress.encoded import Codebook, Dense, Quantized, Scaled, Signs

SEE = lambda params, batch: jax.tree.map(lambda w: w * batch, params)
ONES = [jnp.float32(1)]


def tuned(encoded, params, steps=60, rate=0.05, **settings):
  """Tuned so that the params themselves come out."""
  return jc.tune_values(
    SEE, encoded, params, ONES, steps=steps, learning_rate=rate, **settings
  )


def test_centers_come_to_the_means_of_their_members():
  codes = jnp.array([0, 0, 1, 1, 2], jnp.uint8)
  encoded = {'w': Codebook(jnp.array([0.9, 3.5, 0]), codes)}
  params = {'w': jnp.array([1.0, 1.2, 3.0, 3.4, 0.7])}
  found = tuned(encoded, params, 200)['w']
  np.testing.assert_allclose(found.centers, [1.1, 3.2, 0], atol=2e-3)
  assert found.codes is encoded['w'].codes


def test_a_scale_and_a_zero_between_codes_are_fitted_as_a_line():
  codes = jnp.arange(8, dtype=jnp.int8)
  encoded = {'w': Quantized(codes, jnp.float32(0.8), jnp.float32(2.5))}
  params = {'w': 0.5 * (jnp.arange(8.0) - 3.25)}
  found = tuned(encoded, params, 400)['w']
  np.testing.assert_allclose(found.decode(), params['w'], atol=0.01)
  whole = Quantized(codes, jnp.float32(0.8), jnp.float32(2))
  assert tuned({'w': whole}, params)['w'].zero == 2
  exact = Quantized(codes, jnp.float32(0.8), jnp.int8(2))
  assert tuned({'w': exact}, params)['w'].zero is exact.zero


def test_leaves_of_every_kind_come_nearer_and_keep_codes_and_zeros():
  encoded = leaves()
  grown = lambda w: w * 1.25 if tree.is_float(w) else w
  params = jax.tree.map(grown, jc.decode(encoded))
  floats = [path for path, w in params.items() if tree.is_float(w)]
  look = lambda p, batch: [
    p[path].astype(jnp.float32) * batch for path in floats
  ]
  found = jc.tune_values(
    look, encoded, params, ONES, steps=40, learning_rate=0.01
  )
  before, after = jc.decode(encoded), jc.decode(found)
  for path in floats:
    off = lambda t, path=path: float(
      jc.losses.relative_error(t[path], params[path])
    )
    if path != 'Dense_float64':
      assert off(after) < 0.6 * off(before), path
    np.testing.assert_array_equal(after[path] == 0, before[path] == 0, path)
  for a, b in zip(*map(jax.tree.leaves, (encoded, found)), strict=True):
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert a is b or tree.is_float(a)


def test_a_plan_of_few_bits_comes_nearer_to_the_outputs_on_other_inputs():
  encoded = jc.compress(PARAMS, bits=2)
  other = jax.random.normal(jax.random.key(9), (3, 200, 64))
  look = lambda p, batch: apply(p, batch)
  found = jc.tune_values(
    look, encoded, PARAMS, list(other), steps=150, learning_rate=0.01
  )
  assert error(jc.decode(found)) < 0.9 * error(jc.decode(encoded))
  sizes = [len(jc.pack(x)) for x in (encoded, found)]
  assert sizes[1] < sizes[0] + 4 * 96 + 64  # the biases were all one number
  again = jc.tune_values(
    look, encoded, PARAMS, iter([*other] * 50), steps=150, learning_rate=0.01
  )
  assert jc.pack(again) == jc.pack(found)


def test_what_leaves_share_stays_shared():
  codes = jnp.arange(600, dtype=jnp.uint8) % 3
  centers = jnp.array([-1.0, 0, 1])
  encoded = {name: Codebook(centers, codes) for name in ('a', 'b')}
  params = {'a': 1.5 * centers[codes], 'b': 0.5 * centers[codes]}
  found = tuned(encoded, params, 200)
  assert found['a'].centers is found['b'].centers
  # The least of (c - 1.5)^2 / 1.5^2 + (c - 0.5)^2 / 0.5^2.
  np.testing.assert_allclose(found['a'].centers, [-0.6, 0, 0.6], atol=1e-3)
  one = encoded['a']
  found = tuned({'a': one, 'b': one}, params)
  assert len(jc.pack(found)) == len(jc.pack({'a': one, 'b': one}))


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_narrow_numbers_are_shipped_as_they_were_seen(dtype):
  scale = jnp.asarray(0.75, dtype)
  encoded = {'w': Signs(jnp.array([True, False, True]), scale)}
  params = {'w': jnp.asarray([1.0, -1.0, 1.0], dtype)}
  seen = []

  def see(p, batch):
    jax.debug.callback(lambda w: seen.append(np.asarray(w)), p['w'])
    return p['w'].astype(jnp.float32) * batch

  found = jc.tune_values(
    see, encoded, params, ONES, steps=100, learning_rate=0.02
  )
  assert found['w'].scale.dtype == dtype
  assert abs(float(found['w'].scale) - 1) < 0.02
  assert all(w.dtype == dtype for w in seen)


def test_biases_of_zero_are_tuned_and_zeros_among_others_are_not():
  encoded = {'w': Dense(jnp.zeros(3)), 'v': Dense(jnp.array([0, 2.0]))}
  found = tuned(encoded, {'w': jnp.ones(3), 'v': jnp.array([1.0, 1])})
  assert (found['w'].values != 0).all() and found['v'].values[0] == 0
  pruned = {'w': Codebook(jnp.zeros(1), jnp.zeros(3, jnp.uint8))}
  with pytest.raises(ValueError, match='Nothing to tune: leaves of kinds Code'):
    tuned(pruned, {'w': jnp.ones(3)})


def test_scales_that_a_file_has_as_letters_stay():
  scale = jnp.tile(jnp.array([1.0, 0.5]), 4096)[:, None]
  few = Codebook(jnp.ones(1), jnp.zeros((8192, 1), jnp.uint8))
  found = tuned({'w': Scaled(few, scale)}, {'w': 2 * scale}, steps=2)['w']
  assert found.factor is scale and (found.part.centers > 1).all()


@pytest.mark.parametrize(
  'change, match',
  [
    (dict(steps=0), 'steps is 0'),
    (dict(learning_rate=0.0), 'learning_rate 0.0'),
    (dict(batches={'x': X}), 'batches is a dict'),
    (dict(batches=[]), 'no batches after 0 of 2 steps'),
    (dict(batches=iter(ONES)), 'no batches after 1 of 2 steps'),
    (dict(params={'w': jnp.ones(3)}), r'w is \(2,\) in it and \(3,\) in them'),
    (dict(params={'v': jnp.ones(2)}), r'w is \(2,\) in it and missing in them'),
    (dict(loss=lambda o, w: o['w'] - w['w']), r'loss has shape \[2\]'),
    (dict(loss=lambda o, w: jnp.nan * o['w'].sum()), 'came out as NaN'),
    (dict(encoded={'w': jnp.ones(2)}), 'Not an encoded tree'),
  ],
)
def test_what_cannot_be_tuned_is_refused(change, match):
  given = dict(
    apply=SEE,
    encoded={'w': Dense(jnp.ones(2))},
    params={'w': jnp.full(2, 2.0)},
    batches=ONES,
    steps=2,
  )
  with pytest.raises(ValueError, match=match):
    jc.tune_values(**{**given, **change})
