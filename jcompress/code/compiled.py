"""Loops compiled by numba; without it the same source runs, slowly but equal.

The only file that imports numba, and only when a loop runs first: that takes
longer than importing all of this package.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

_SETTINGS: dict[str, Any] = {'nogil': True, 'error_model': 'numpy'}


class Compiled:
  """A function that is compiled at its first call; later processes find it.

  Attributes:
    py_func: the source as it is, which is the specification.
  """

  def __init__(self, f: Callable[..., Any]):
    self.py_func: Callable[..., Any] = inspect.unwrap(f)  # of checks of types
    functools.update_wrapper(self, self.py_func)

  @functools.cached_property
  def compiled(self) -> Callable[..., Any]:
    """The machine code, or the source where there is no numba."""
    try:
      import numba
    except ImportError:
      return self.py_func
    try:
      return numba.njit(cache=True, **_SETTINGS)(self.py_func)
    except RuntimeError:  # no folder that can be written
      return numba.njit(**_SETTINGS)(self.py_func)

  def __call__(self, *args: Any) -> Any:
    return self.compiled(*args)

  @property
  def _numba_type_(self):
    """How numba sees it where another such function calls it."""
    return self.compiled._numba_type_


def compiled(f: Callable[..., Any]) -> Compiled:
  """Compiles a function at its first call.

  Args:
    f: a function of numbers and NumPy arrays, without side effects but those on
      its arrays, that calls no functions but such ones.
  """
  return Compiled(f)
