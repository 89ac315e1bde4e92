import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.numerics.wide import wide


@pytest.mark.parametrize(
  ('dtype', 'want'),
  [
    ('float16', 'float32'),
    ('bfloat16', 'float32'),
    ('float32', 'float32'),
    ('float64', 'float64'),
  ],
)
def test_types_of_arithmetic(dtype, want):
  with jax.enable_x64(True):
    x = jnp.asarray([0.5, -2.0], dtype)
    assert wide(x).dtype == want
    np.testing.assert_array_equal(wide(x), x)
