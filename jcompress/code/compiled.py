"""Loops compiled by numba; without it the same source runs, slowly but equal.

The only file that imports numba, and it is imported only where loops run.
"""

import inspect
from collections.abc import Callable
from typing import Any

numba: Any
try:
  import numba
except ImportError:
  numba = None


def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
  """Compiles a function at its first call; later processes find it on disk.

  Args:
    f: a function of numbers and NumPy arrays, without side effects but those on
      its arrays. The source is the specification: `f.py_func` runs it as is.
  """
  f = inspect.unwrap(f)  # of what checks types
  if numba is None:
    f.py_func = f  # type: ignore[attr-defined]
    return f
  settings = {'nogil': True, 'error_model': 'numpy'}
  try:
    return numba.njit(cache=True, **settings)(f)
  except RuntimeError:  # no folder that can be written
    return numba.njit(**settings)(f)
