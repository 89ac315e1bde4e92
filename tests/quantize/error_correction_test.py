import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jcompress.quantize.error_correction import correct


def tiny():
  """A problem of 8 inputs, 6 outputs, two blocks of length 4, two codewords."""
  rng = np.random.default_rng(0)
  w = rng.normal(size=(8, 6))
  x = np.abs(rng.normal(size=(64, 8)))
  return w, x, x @ w


def lloyd(w):
  """k-means of the 6 columns of both blocks, started from the first two."""
  centers, codes = [], []
  for block in (w[:4].T, w[4:].T):
    c = block[:2].copy()
    for _ in range(50):
      code = ((block[:, None] - c) ** 2).sum(-1).argmin(1)
      for k in range(2):
        if (code == k).any():
          c[k] = block[code == k].mean(0)
    centers.append(c)
    codes.append(code)
  return jnp.array(centers, jnp.float32), jnp.array(codes)[None, None]


def rebuild(centers, codes):
  """Weights [inputs, outputs] of a dense layer."""
  return np.concatenate(
    [np.asarray(c)[z].T for c, z in zip(centers, codes[0, 0], strict=True)]
  )


def moments(x, t):
  n = len(x)
  return jnp.asarray((x.T @ x / n)[None], jnp.float32), jnp.asarray(
    (x.T @ t / n)[None], jnp.float32
  )


def test_responses_improve_while_the_weights_move_away():
  w, x, t = tiny()
  centers, codes = lloyd(w)
  response = lambda v: ((t - x @ v) ** 2).mean()
  start = rebuild(centers, codes)
  np.testing.assert_allclose(response(start), 4.7524, atol=1e-4)
  np.testing.assert_allclose(((w - start) ** 2).mean(), 0.3633, atol=1e-4)
  fit = correct(*moments(x, t), centers, codes, sweeps=10, ridge=1e-7)
  final = rebuild(fit.centers, fit.codes)
  np.testing.assert_allclose(response(final), 1.8383, atol=1e-4)
  np.testing.assert_allclose(((w - final) ** 2).mean(), 0.4799, atol=1e-4)
  constant = (t**2).sum(1).mean()
  errors = (fit.errors + constant) / 6
  np.testing.assert_allclose(errors[0], 4.7524, atol=1e-4)
  np.testing.assert_allclose(errors[-1], 1.8383, atol=1e-4)


def test_errors_never_grow():
  for seed in range(5):
    keys = jax.random.split(jax.random.key(seed), 4)
    x = jax.random.normal(keys[0], (2, 40, 18))  # 2 groups, 3 offsets x 2 x 3
    t = jax.random.normal(keys[1], (2, 40, 5))
    h = jnp.einsum('gni,gnj->gij', x, x) / 40
    b = jnp.einsum('gni,gno->gio', x, t) / 40
    centers = jax.random.normal(keys[2], (2, 4, 3))
    codes = jax.random.randint(keys[3], (2, 3, 2, 5), 0, 4)
    fit = correct(h, b, centers, codes, sweeps=6, ridge=1e-4)
    assert (jnp.diff(fit.errors) < 1e-4).all()
    assert fit.errors[-1] < fit.errors[0]


def test_no_start_ends_below_the_optimum_of_all_codes():
  rng = np.random.default_rng(1)
  x, t = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
  square = lambda v: ((t - x @ v) ** 2).sum()

  def best(code):  # least squares of each codeword to the mean of its outputs
    v = np.zeros((3, 2))
    for k in set(code):
      mine = [o for o in range(2) if code[o] == k]
      d = np.linalg.lstsq(x, t[:, mine].mean(1), rcond=None)[0]
      v[:, mine] = d[:, None]
    return square(v)

  optimum = min(best(code) for code in itertools.product(range(2), repeat=2))
  ends = []
  for code in itertools.product(range(2), repeat=2):
    start = jnp.array(code)[None, None, None]
    fit = correct(
      *moments(x, t), jnp.eye(2, 3)[None], start, sweeps=8, ridge=1e-8
    )
    ends.append(square(rebuild(fit.centers, fit.codes)))
  assert min(ends) >= optimum - 1e-3
  np.testing.assert_allclose(min(ends), optimum, rtol=1e-3)


def test_one_codeword_for_all_offsets_is_the_least_squares_of_their_sum():
  rng = np.random.default_rng(2)
  x, t = rng.normal(size=(50, 6)), rng.normal(size=(50, 4))  # 3 offsets x 2
  codes = jnp.zeros((1, 3, 1, 4), int)
  fit = correct(
    *moments(x, t), jnp.zeros((1, 1, 2)), codes, sweeps=1, ridge=1e-8
  )
  z = x.reshape(50, 3, 2).sum(1)
  want = np.linalg.lstsq(z, t.mean(1), rcond=None)[0]
  np.testing.assert_allclose(fit.centers[0, 0], want, rtol=1e-3)


def test_dead_inputs_keep_their_codewords():
  rng = np.random.default_rng(3)
  x, t = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
  x[:, 2] = 0
  centers = jnp.asarray(rng.normal(size=(1, 2, 4)), jnp.float32)
  codes = jnp.array([0, 1, 1])[None, None, None]
  fit = correct(*moments(x, t), centers, codes, sweeps=3, ridge=1e-4)
  assert jnp.isfinite(fit.centers).all()
  np.testing.assert_allclose(fit.centers[0, :, 2], centers[0, :, 2], rtol=1e-5)
  dead = correct(
    jnp.zeros((1, 4, 4)),
    jnp.zeros((1, 4, 3)),
    centers,
    codes,
    sweeps=2,
    ridge=1e-4,
  )
  assert jnp.isfinite(dead.centers).all()
