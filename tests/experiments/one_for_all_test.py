import jax
import numpy as np
import pytest

from jcompress.encoded import Codebook, Quantized
from jcompress.experiments.one_for_all import one_for_all
from jcompress.planning.choices import Choice

PARAMS = {
  'fc': {'kernel': jax.random.normal(jax.random.key(0), (4, 6)), 'bias': 1.0},
  'words': {'embedding': jax.random.normal(jax.random.key(1), (9, 4))},
}
PATTERN = '.*/(kernel|embedding)'


def test_all_that_match_are_quantized_alike_and_others_left():
  four = one_for_all(Choice('linear', {'bits': 4}), PARAMS, PATTERN)
  encoded = four.encode(*four.init(PARAMS))
  assert isinstance(encoded['fc']['kernel'], Quantized)
  assert isinstance(encoded['words']['embedding'], Quantized)
  assert encoded['fc']['bias'].decode() == 1.0
  assert np.max(np.abs(encoded['fc']['kernel'].codes)) <= 7


def test_those_without_moments_have_a_choice_of_their_own():
  moments = {'fc/kernel': np.eye(4)}
  both = one_for_all(
    Choice('gptq', {'bits': 4}),
    PARAMS,
    PATTERN,
    moments=moments,
    otherwise=Choice('kmeans', {'bits': 2}),
  )
  encoded = both.encode(*both.init(PARAMS))
  assert isinstance(encoded['fc']['kernel'], Quantized)
  assert isinstance(encoded['words']['embedding'], Codebook)
  alone = one_for_all(Choice('gptq', {'bits': 4}), PARAMS, PATTERN)
  with pytest.raises(ValueError, match='needs the second moments'):
    alone.init(PARAMS)


def test_a_pattern_of_nothing_is_refused():
  with pytest.raises(ValueError, match='matches no leaf'):
    one_for_all(Choice('kmeans', {'bits': 2}), PARAMS, 'none')
