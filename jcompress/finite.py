"""Refuses trees with numbers that nothing can be computed from."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import tree as tree_lib


def _is_cut(x):
  """Whether JAX would change the integers of a NumPy array."""
  if not isinstance(x, (np.ndarray, np.generic)) or x.dtype.kind not in 'iu':
    return False
  narrow = np.iinfo(jax.dtypes.canonicalize_dtype(x.dtype))
  return bool(((x < narrow.min) | (x > narrow.max)).any())


def require_finite(tree: Any, when: str) -> None:
  """Raises a `ValueError` that names the leaves with NaN or inf.

  Numbers that are finite in NumPy and not in the type in which JAX would hold
  them count as inf, and integers that do not fit are refused, too. Does nothing
  while tracing: the values are not there to be looked at.
  """
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  cut = [tree_lib.path_string(p) for p, x in leaves if _is_cut(x)]
  if cut:
    raise ValueError(
      f'{", ".join(cut)} at {when}: 64-bit integers that do not fit into 32 '
      "bits. Switch on jax.config.update('jax_enable_x64', True), or keep them "
      'out of the params; pack() takes them as they are.'
    )
  floats = [
    (p, x)
    for p, x in leaves
    if hasattr(x, 'dtype') and jnp.issubdtype(x.dtype, jnp.floating)
  ]
  if any(isinstance(x, jax.core.Tracer) for _, x in floats):
    return
  with jax.ensure_compile_time_eval():
    bad = [
      tree_lib.path_string(p) for p, x in floats if not jnp.isfinite(x).all()
    ]
  if bad:
    raise ValueError(
      f'NaN or inf in {", ".join(bad)} at {when}. Look at the training run '
      'that produced these weights (learning rate, loss scale) first.'
    )
