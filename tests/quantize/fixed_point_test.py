import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.experiments import data, sources, tasks
from jcompress.ops import fixed_point_op, fixed_point_round

X = jnp.array([0.3, -0.3, 1.126, -2.5, 3.9, 0.0625, 0.03125, -0.03125])
EPS = 2.0**-4


def on_grid(x, fraction_bits):
  multiples = np.asarray(x, np.float64) * 2**fraction_bits
  return (multiples == np.round(multiples)).all()


def run(comp, params, push, steps):
  """Adds `push` to each weight, `steps` times."""
  latent, state = comp.init(params)
  for _ in range(steps):
    latent = jax.tree.map(lambda w: w + push, latent)
    latent, state = comp.update(latent, state, latent)
  return latent, state


def test_small_updates_vanish_to_the_nearest_and_add_up_in_the_mean():
  w = jnp.full(100_000, 0.5)
  nearest, _ = run(jc.fixed_point(3, 4), w, -(2.0**-10), 20)
  np.testing.assert_array_equal(nearest, w)
  comp = jc.fixed_point(3, 4, rounding='stochastic')
  share = 2.0**-6  # of a step
  error = EPS * np.sqrt(share * (1 - share) / w.size)
  once = np.asarray(run(comp, w, -(2.0**-10), 1)[0], np.float64)
  assert abs(once.mean() - 0.4990234375) < 5 * error
  often = np.asarray(run(comp, w, -(2.0**-10), 20)[0], np.float64)
  assert abs(often.mean() - (0.5 - 20 * 2.0**-10)) < 5 * error * np.sqrt(20)


def test_arrays_and_calls_draw_from_keys_of_their_own():
  params = {'a': jnp.full(300, 0.5), 'b': jnp.full(300, 0.5)}
  comp = jc.fixed_point(3, 4, rounding='stochastic')
  latent, state = run(comp, params, EPS / 2, 1)
  assert 0.3 < (latent['a'] == latent['b']).mean() < 0.7
  again, _ = comp.update(
    jax.tree.map(lambda w: w + EPS / 2, params), state, params
  )
  assert 0.3 < (again['a'] == latent['a']).mean() < 0.7


def test_there_is_no_copy_of_the_weights_off_the_grid():
  w = jax.random.normal(jax.random.key(0), (20, 30))
  for rounding in ('nearest', 'stochastic'):
    comp = jc.fixed_point(3, 5, rounding=rounding)
    for latent, state in (comp.init(w), run(comp, w, 0.01, 3)):
      assert on_grid(latent, 5)
      np.testing.assert_array_equal(latent, comp.view(latent, state))


def test_a_view_of_weights_off_the_grid_is_on_it():
  w = jax.random.normal(jax.random.key(0), (20, 30))
  comp = jc.chain(
    jc.magnitude_prune(0.5), jc.fixed_point(3, 5, rounding='stochastic')
  )
  latent, state = comp.init(w)
  latent = latent + 0.01
  view = comp.view(latent, state)
  assert on_grid(view, 5) and not on_grid(latent, 5)
  np.testing.assert_array_equal(view, jc.decode(comp.encode(latent, state)))
  later = comp.view(*comp.update(latent, state, latent))
  assert (view != later).any()


def test_zeros_learn_only_where_they_may():
  kept, _ = run(jc.fixed_point(3, 4), jnp.array([0.0, 1.0]), 0.5, 1)
  np.testing.assert_array_equal(kept, [0, 1.5])
  bias, _ = run(jc.fixed_point(3, 4), jnp.zeros(2), 0.5, 1)
  np.testing.assert_array_equal(bias, [0.5, 0.5])
  kept, _ = run(jc.fixed_point(3, 4, keep_zeros=True), jnp.zeros(2), 0.5, 1)
  np.testing.assert_array_equal(kept, [0, 0])


def test_sixteen_bits_are_codes_and_more_are_floats():
  w = jnp.array([-4.0, 3.9, 0.123])
  comp = jc.fixed_point(3, 13)
  leaf = comp.encode(*comp.init(w))
  assert leaf.codes.dtype == jnp.int16 and leaf.scale == 2.0**-13
  np.testing.assert_array_equal(leaf.codes, [-32768, 31949, 1008])
  comp = jc.fixed_point(3, 17)
  latent, state = comp.init(w)
  leaf = comp.encode(latent, state)
  assert isinstance(leaf, jc.encoded.Dense)
  np.testing.assert_array_equal(leaf.values, latent)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_half_precision_holds_as_many_bits_as_it_is_allowed(dtype):
  bits = {jnp.bfloat16: 9, jnp.float16: 12}[dtype]
  w = jnp.array([-4.0, 3.999, 0.1], dtype)
  comp = jc.fixed_point(3, bits - 3)
  latent, state = comp.init(w)
  assert latent.dtype == jnp.float32
  view = comp.view(latent, state)
  assert view.dtype == dtype
  np.testing.assert_array_equal(view.astype(jnp.float32), latent)
  with pytest.raises(ValueError, match=f'at most {bits} bits'):
    jc.fixed_point(3, bits - 2).init(w)


def test_updates_are_converted_with_another_key_each_time():
  updates = {'a': X, 'b': jnp.full(300, 0.03)}
  tx = jc.fixed_point_updates(3, 4)
  got, _ = tx.update(updates, tx.init(updates))
  np.testing.assert_array_equal(got['a'], fixed_point_round(X, 3, 4))
  tx = jc.fixed_point_updates(3, 4, rounding='stochastic')
  one, state = tx.update(updates, tx.init(updates))
  other, _ = tx.update(updates, state)
  assert on_grid(one['b'], 4) and (one['b'] != other['b']).any()


def test_updates_and_weights_of_one_seed_draw_apart():
  half = jnp.full(300, EPS / 2)
  comp = jc.fixed_point(3, 4, rounding='stochastic')
  tx = jc.fixed_point_updates(3, 4, rounding='stochastic')
  latent, state = comp.init(half)
  draws = [latent, comp.update(half, state, half)[0]]
  opt_state = tx.init(half)
  for _ in range(2):
    update, opt_state = tx.update(half, opt_state)
    draws.append(update)
  for i in range(4):
    for j in range(i):
      assert 0.3 < (draws[i] == draws[j]).mean() < 0.7


def digits_error(rounding, fraction_bits=8):
  """Of a 64-32-10 network of which every number is in 16 bits, in per cent."""
  word = 16 - fraction_bits, fraction_bits
  dense = lambda x, w, b: x @ w + b

  def apply(params, x, keys):
    (w0, b0), (w1, b1) = params
    x = fixed_point_op(dense, *word, key=keys[0])(x, w0, b0)
    return fixed_point_op(dense, *word, key=keys[1])(jax.nn.relu(x), w1, b1)

  def loss(params, batch, key):
    keys = jax.random.split(key) if rounding == 'stochastic' else (None, None)
    logits = apply(params, batch['image'], keys)
    return optax.softmax_cross_entropy_with_integer_labels(
      logits, batch['label']
    ).mean()

  keys = jax.random.split(jax.random.key(0))
  layer = lambda key, *shape: (
    0.1 * jax.random.normal(key, shape),
    jnp.zeros(shape[1]),
  )
  params = layer(keys[0], 64, 32), layer(keys[1], 32, 10)
  comp = jc.fixed_point(*word, rounding=rounding, keep_zeros=False)
  tx = optax.chain(
    optax.sgd(0.05), jc.fixed_point_updates(*word, rounding=rounding)
  )
  ts = jc.init_train_state(comp, tx, params, key=jax.random.key(1))
  step = jc.train_step(loss, comp, tx)
  digits = data.load('digits')
  flat = lambda x: np.asarray(tasks.pixels(x)).reshape(len(x), -1)
  images = flat(digits.train_inputs)
  source = sources.shuffled(
    {'image': images, 'label': digits.train_labels}, 100
  )
  for i in range(420):
    ts, _ = step(ts, source.get(0, i, sources.WHOLE))
  logits = apply(
    comp.view(ts.latent, ts.state),
    flat(digits.test_inputs),
    (None, None),
  )
  return 100 * float((logits.argmax(-1) != digits.test_labels).mean())


def test_sixteen_bits_train_the_digits_with_stochastic_rounding_only():
  assert digits_error('stochastic') < 12
  assert digits_error('nearest') > 40


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((0, 4), 'integer_bits=0'),
    ((4, -1), 'fraction_bits=-1'),
    ((12, 13), 'words of 25 bits'),
  ],
)
def test_bad_formats_are_refused(arguments, message):
  for build in (jc.fixed_point, jc.fixed_point_updates):
    with pytest.raises(ValueError, match=message):
      build(*arguments)


def test_an_unknown_rounding_is_refused():
  for build in (jc.fixed_point, jc.fixed_point_updates):
    with pytest.raises(ValueError, match="rounding is 'up'"):
      build(3, 4, rounding='up')
