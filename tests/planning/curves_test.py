import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.planning import curves
from jcompress.planning.choices import Choice, candidates, quantized
from jcompress.traced.kronecker import Moments

W = np.random.default_rng(0).standard_normal((60, 40)).astype('float32')


def test_a_curve_falls_with_the_bytes():
  found = curves.curve(W, candidates(W, ['steps'], -1))
  order = np.argsort(found.sizes)
  assert (np.diff(found.errors[order]) <= 0).all()
  assert found.sizes[order][-1] == W.nbytes and found.errors[order][-1] == 0


def test_steps_between_those_that_are_tried_are_foretold():
  found = curves.curve(W, candidates(W, ['steps'], -1))
  steps = [c.settings.get('step') for c in found.choices]
  assert len(steps) > 200 and len(set(steps)) == len(steps)
  for i in np.flatnonzero(found.sizes > 300)[3::31]:
    alone = curves.curve(W, [found.choices[i]])
    np.testing.assert_allclose(found.errors[i], alone.errors[0], rtol=0.2)
    np.testing.assert_allclose(found.sizes[i], alone.sizes[0], rtol=0.05)


def test_coarse_steps_with_feedback_are_foretold():
  x = np.random.default_rng(1).standard_normal((90, 60))
  x = np.cumsum(x, axis=1)
  moments = Moments(x.T @ x, x[:, :40].T @ x[:, :40])
  found = curves.curve(W, candidates(W, ['steps'], -1, moments), moments)
  assert found.sizes.min() < 30
  for i in np.flatnonzero(found.sizes > 100)[::61]:
    if found.choices[i].method == 'feedback':
      leaf = quantized(found.choices[i], W, moments)
      np.testing.assert_allclose(found.sizes[i], leaf.bits() / 8, rtol=0.15)


def test_errors_are_relative_and_squared():
  w = np.array([[3.0, 4.0]], np.float32)
  choice = Choice('steps', {'step': 8.0, 'strength': 0.0})
  found = curves.curve(w, [choice])  # 3 and 4 become 0
  np.testing.assert_allclose(found.errors, [1.0])


def test_prices_are_slopes_of_the_metric():
  params = {'a': jnp.asarray(W), 'b': jnp.asarray(W[::-1]), 'c': jnp.ones(3)}
  of = lambda w: [*candidates(w, ['steps'], -1)]
  found = {p: curves.curve(params[p], of(params[p])) for p in ('a', 'b')}
  energy = (W**2).sum()
  squares = lambda p, name: float(((p[name] - params[name]) ** 2).sum())
  metric = lambda p: 5 * squares(p, 'a') / energy + squares(p, 'b') / energy
  priced = curves.prices(params, found, metric)
  assert priced == pytest.approx({'a': 5, 'b': 1}, rel=1e-4)
  only = lambda p: squares(p, 'a') / energy
  only_a = curves.prices(params, found, only)
  assert only_a == pytest.approx({'a': 1, 'b': 1e-3}, rel=1e-4)
  assert curves.prices(params, found, None) == {'a': 0.5, 'b': 0.5}
