import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.binarize import distortions
from jcompress.binarize.effective_bits import effective_bits, sign_capacity


def test_signs_under_noise_of_four_fifths_keep_two_thirds_of_a_bit():
  signs = jnp.ones(100_000).at[::2].set(-1)
  noisy = distortions.added_noise(0.8)(jax.random.key(0), signs)
  want = math.log2(1 + 1 / 0.64) / 2
  assert abs(want - 0.6788) < 1e-4
  assert abs(effective_bits(signs, noisy) - want) < 0.01


def test_scale_changes_nothing_and_no_distortion_leaves_all():
  w = np.array([1.0, -2.0, 0.5])
  d = np.array([1.5, -2.0, 0.0])
  assert effective_bits(w, d) == pytest.approx(effective_bits(3 * w, 3 * d))
  assert effective_bits(w, w) == math.inf
  assert effective_bits(0 * w, d) == 0


def test_what_signs_carry_is_the_information_of_input_and_output():
  rng = np.random.default_rng(0)
  for deviation in (0.5, 0.8, 2.0):
    y = 1 + deviation * rng.standard_normal(400_000)
    # The logarithm of how likely the true sign is, given what is seen.
    known = -np.logaddexp(0, -2 * y / deviation**2) / math.log(2)
    assert abs(sign_capacity(deviation) - 1 - known.mean()) < 0.01
    assert sign_capacity(deviation) < math.log2(1 + deviation**-2) / 2


def test_limits_of_little_and_much_noise():
  assert sign_capacity(0) == 1
  assert sign_capacity(1e-3) == pytest.approx(1)
  assert 0 < sign_capacity(100) < 1e-4


def test_bad_input_is_refused():
  with pytest.raises(ValueError, match=r'weights are \[2\]'):
    effective_bits(np.ones(2), np.ones(3))
  with pytest.raises(ValueError, match='deviation is -1'):
    sign_capacity(-1)
