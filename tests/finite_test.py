import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.finite import require_finite


def test_require_finite_names_every_bad_leaf():
  bad = {'a': jnp.array([1.0, np.nan]), 'b': jnp.ones(2), 'c': [-jnp.inf]}
  bad['c'] = [jnp.array(-jnp.inf)]
  with pytest.raises(ValueError, match='in a, c/0 at load'):
    require_finite(bad, 'load')
  require_finite({'i': jnp.arange(3), 'b': jnp.ones(2)}, 'load')


def test_require_finite_is_silent_under_jit():
  jax.jit(lambda x: require_finite(x, 'init'))(jnp.array(jnp.nan))


@pytest.mark.parametrize(
  'x',
  [np.array([1, 2**40]), np.array([2**32], np.uint64), np.array([-(2**40)])],
)
def test_integers_that_jax_would_cut_are_refused(x):
  with pytest.raises(ValueError, match='a/n at init: 64-bit integers'):
    require_finite({'a': {'n': x}}, 'init')
  require_finite({'a': np.array([2**31 - 1]), 'b': np.array([])}, 'init')
