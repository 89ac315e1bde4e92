import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

PARAMS = {'a': {'kernel': jnp.array([1.0, 0.0, 3.0]), 'bias': jnp.ones(2)}}


def mask(values):
  return {'a': {'kernel': jnp.array(values), 'bias': None}}


def test_view_is_zero_outside_the_mask():
  comp = jc.select(jc.KERNELS, jc.with_mask(mask([True, True, False])))
  view = comp.view(*comp.init(PARAMS))
  np.testing.assert_array_equal(view['a']['kernel'], [1, 0, 0])
  np.testing.assert_array_equal(view['a']['bias'], [1, 1])


def test_encodes_what_the_mask_keeps():
  comp = jc.select(jc.KERNELS, jc.with_mask(mask([True, True, False])))
  leaf = comp.encode(*comp.init(PARAMS))['a']['kernel']
  assert isinstance(leaf, jc.encoded.Sparse)
  np.testing.assert_array_equal(leaf.mask, [True, False, False])


@pytest.mark.parametrize(
  ('bad', 'message'),
  [
    ({'a': {'kernel': jnp.ones(3, bool), 'bias': jnp.ones(2, bool)}}, 'leaves'),
    (mask([True, False]), r'bool\[2\]; it must be bool\[3\]'),
    (mask([1.0, 0.0, 1.0]), 'float32'),
  ],
)
def test_a_mask_that_does_not_fit_is_refused(bad, message):
  with pytest.raises(ValueError, match=message):
    jc.select(jc.KERNELS, jc.with_mask(bad)).init(PARAMS)
