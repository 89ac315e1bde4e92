import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.numerics.wide import selected, wide


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


def test_what_has_a_size_is_selected_also_if_it_is_no_number():
  x = jnp.array([1.0, jnp.nan, jnp.inf, 5.0])
  got = selected(x, jnp.array([2.0, jnp.nan, jnp.inf, 0.0]))
  np.testing.assert_array_equal(got, [1.0, np.nan, np.inf, 0.0])
