import jax
import numpy as np
import pytest

import jcompress as jc
from jcompress.planning.choices import METHODS, Choice, candidates, quantized

W = jax.random.normal(jax.random.key(0), (40, 30))


@pytest.mark.parametrize('method', [*METHODS])
def test_every_method_makes_an_encoded_array(method):
  given = 'steps' if method in ('feedback', 'rows') else method
  moments = jc.Moments(np.ones(40) if method == 'rows' else np.eye(40))
  needs_moments = method in ('feedback', 'gptq', 'adaround', 'rows')
  choices = candidates(
    W, [given], -1, moments if needs_moments else jc.Moments()
  )
  assert method in [c.method for c in choices]
  for choice in choices[::4]:
    leaf = quantized(choice, W, moments)
    assert leaf.decode().shape == W.shape
    again = quantized(choice, np.asarray(W), moments)
    assert jc.pack({'w': leaf}) == jc.pack({'w': again})


def test_outputs_may_come_first():
  first = quantized(Choice('linear', {'bits': 4, 'axis': 0}), W)
  last = quantized(Choice('linear', {'bits': 4, 'axis': -1}), W.T)
  np.testing.assert_array_equal(first.decode(), last.decode().T)
  assert first.scale.size == 40
  assert {'bits': 4, 'axis': 0} in [
    dict(c.settings) for c in candidates(W, ['linear'], 0)
  ]


def test_an_array_of_one_value_has_no_steps():
  assert candidates(np.zeros((3, 3)), ['steps'], -1) == [Choice('float', {})]


def test_methods_and_settings_that_are_not_known_are_refused():
  with pytest.raises(ValueError, match='methods has nearest; there are float'):
    candidates(W, ['nearest'], -1)
  with pytest.raises(ValueError, match="method 'nearest' is not known"):
    quantized(Choice('nearest', {}), W)
  with pytest.raises(ValueError, match='steps does not take .*bits'):
    quantized(Choice('steps', {'bits': 4}), W)
