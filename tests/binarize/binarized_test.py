import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jcompress.binarize import binarized
from jcompress.binarize.binarized import (
  ShiftNormStats,
  ap2,
  shift_adamax,
  shift_batch_norm,
)

FRESH = ShiftNormStats(jnp.zeros(1), jnp.ones(1))


def normalize(x, scale=1.0, offset=0.0, stats=FRESH, **options):
  y, stats = shift_batch_norm(
    jnp.asarray(x, jnp.float32)[:, None],
    jnp.array([scale]),
    jnp.array([offset]),
    stats,
    **options,
  )
  return y[:, 0], stats


def test_ap2_of_known_numbers():
  x = jnp.array([3, 0.7, 0.75, -0.3, 1.5, 5.6, 6, 0, -0.0])
  want = [4, 0.5, 1, -0.25, 2, 4, 8, 0, 0]
  np.testing.assert_array_equal(ap2(x), want)


def test_ap2_keeps_every_power_of_two_and_splits_at_the_square_root():
  powers = 2.0 ** np.arange(-126, 128)
  np.testing.assert_array_equal(ap2(jnp.float32(powers)), np.float32(powers))
  below = jnp.float32(powers[:-1] * 1.41421)
  above = jnp.float32(powers[:-1] * 1.41422)
  np.testing.assert_array_equal(ap2(below), np.float32(powers[:-1]))
  np.testing.assert_array_equal(ap2(above), np.float32(powers[1:]))


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, jnp.float16])
def test_ap2_does_not_overflow(dtype):
  largest = jnp.finfo(dtype).max
  got = ap2(jnp.array([largest, -largest], dtype))
  assert got.dtype == dtype and jnp.isfinite(got).all()
  np.testing.assert_array_equal(
    jnp.frexp(got.astype(jnp.float32))[0], [0.5, -0.5]
  )


def test_shift_batch_norm_of_four_numbers():
  y, stats = normalize([1, 3, -2, 0.5], train=True)
  np.testing.assert_allclose(y, [0.1875, 1.1875, -1.3125, -0.0625], rtol=1e-6)
  inverse_std = 1 / np.sqrt(2.5507813 + 1e-5)
  np.testing.assert_allclose(stats.mean, 0.125 * 0.625, rtol=1e-6)
  np.testing.assert_allclose(
    stats.inverse_std, 1 + 0.125 * (inverse_std - 1), rtol=1e-6
  )


def test_scale_is_a_shift_that_learns_and_offset_is_free():
  f = lambda scale, offset: normalize(
    [1, 3, -2, 0.5], scale, offset, train=True
  )[0]
  plain = f(1.0, 0.0)
  np.testing.assert_allclose(f(-3.0, 0.3), -4 * plain + 0.3, rtol=1e-6)
  grads = jax.grad(lambda *a: jnp.vdot(f(*a), plain), (0, 1))(-3.0, 0.3)
  np.testing.assert_allclose(grads, [plain @ plain, plain.sum()], rtol=1e-5)


def test_at_test_time_the_running_inverse_std_is_shifted():
  stats = ShiftNormStats(jnp.array([1.0]), jnp.array([0.7]))
  y, after = normalize([1, 3, -2], stats=stats, train=False)
  np.testing.assert_array_equal(y, [0, 1, -1.5])
  assert after == stats


def test_without_ap2_it_is_batch_norm_and_its_gradient(monkeypatch):
  monkeypatch.setattr(binarized, 'ap2', lambda x: x)
  x = jax.random.normal(jax.random.key(0), (7, 3, 4)) * 3 + 1
  scale, offset = jnp.array([1.0, -2.0, 0.3, 3.0]), jnp.arange(4.0)
  stats = ShiftNormStats(jnp.zeros(4), jnp.ones(4))

  def plain(x, scale, offset):
    centered = x - x.mean((0, 1))
    std = jnp.sqrt((centered**2).mean((0, 1)) + 1e-5)
    return scale * centered / std + offset

  ours = lambda *a: shift_batch_norm(*a, stats, train=True)[0]
  weight = jax.random.normal(jax.random.key(1), x.shape)
  for a, b in zip(
    *[
      jax.value_and_grad(lambda *a, f=f: jnp.vdot(f(*a), weight), (0, 1, 2))(
        x, scale, offset
      )
      for f in (ours, plain)
    ],
    strict=True,
  ):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), a, b
    )


def test_backward_uses_the_shifted_values():
  g = np.array([1.0, -2.0, 0.5, 3.0])
  _, pull = jax.vjp(
    lambda x: normalize(x, train=True)[0], jnp.array([1.0, 3.0, -2.0, 0.5])
  )
  (got,) = pull(jnp.float32(g))
  power, shift = np.array([0.5, 2, -2, -0.125]), 0.5
  want = shift * (g - g.mean() - shift**2 * power * (g * power).mean())
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_first_step_of_shift_adamax():
  tx = shift_adamax(2.0**-6, b1=0.9, b2=0.999)
  grads = jnp.array([0.3, -0.02, 0.0])
  updates, state = tx.update(grads, tx.init(grads))
  np.testing.assert_allclose(updates, [-0.015, 0.016, 0], rtol=1e-5)
  np.testing.assert_allclose(state.mean, [0.03, -0.002, 0], rtol=1e-5)
  np.testing.assert_array_equal(state.largest, jnp.abs(grads))
  assert state.calls == 1


def test_shift_adamax_is_adamax_up_to_its_shifts():
  grads = jax.random.normal(jax.random.key(0), (20, 50))
  ours, plain = (
    shift_adamax(2.0**-10, b1=0.9, b2=0.999),
    optax.adamax(2.0**-10, b1=0.9, b2=0.999),
  )
  state, other = ours.init(grads[0]), plain.init(grads[0])
  for g in grads:
    a, state = ours.update(g, state)
    b, other = plain.update(g, other)
    ratio = np.asarray(a / b)
    assert 0.49 < ratio.min() and ratio.max() < 2.01


def test_shift_adamax_takes_a_schedule_and_half_precision():
  tx = shift_adamax(lambda t: 0.5 ** (t + 3.0), b1=0.0)
  grads = jnp.ones(2, jnp.float16)
  state = tx.init(grads)
  for want in (0.125, 0.0625):
    updates, state = jax.jit(tx.update)(grads, state)
    assert updates.dtype == jnp.float16
    np.testing.assert_array_equal(updates, -want)


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: shift_adamax(b1=1.0), 'b1 is 1.0'),
    (lambda: shift_adamax(b2=-0.1), 'b2 is -0.1'),
    (lambda: shift_adamax(eps=0.0), 'eps is 0.0'),
    (lambda: normalize([1.0], train=True, eps=0.0), 'eps is 0.0'),
    (lambda: normalize([1.0], train=True, momentum=2.0), 'momentum is 2.0'),
  ],
)
def test_bad_arguments_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_moments_of_shift_adamax_decay_in_any_dtype(dtype):
  tx = shift_adamax()
  large, small = jnp.asarray([8.0], dtype), jnp.asarray([0.01], dtype)
  _, state = tx.update(large, tx.init(large))
  body = lambda _, state: tx.update(small, state)[1]
  state = jax.lax.fori_loop(0, 5000, body, state)
  np.testing.assert_allclose(state.largest, 8 * (1 - 2.0**-10) ** 5000, 1e-3)
  np.testing.assert_allclose(state.mean, 0.01, rtol=3e-3)
