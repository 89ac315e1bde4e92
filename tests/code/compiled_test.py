"""Tests of the compiling of loops."""

import subprocess
import sys
import types

import numpy as np

from jcompress.code import compiled


@compiled.compiled
def _double(x):
  for i in range(len(x)):
    x[i] *= 2


@compiled.compiled
def _twice(x):
  """Doubles two times."""
  _double(x)
  _double(x)


def test_a_function_may_call_another():
  x = np.arange(3.0)
  _twice(x)
  np.testing.assert_array_equal(x, [0, 4, 8])
  assert _twice.compiled.signatures
  assert 'Doubles' in _twice.__doc__


def test_without_numba_the_function_runs_as_it_is(monkeypatch):
  monkeypatch.setitem(sys.modules, 'numba', None)
  f = compiled.compiled(_double.py_func)
  assert f.compiled is f.py_func is _double.py_func
  x = np.arange(3)
  f(x)
  np.testing.assert_array_equal(x, [0, 2, 4])


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch):
  asked = []

  def njit(cache=False, **settings):
    asked.append(cache)
    if cache:
      raise RuntimeError('cannot cache function: no locator available')
    return lambda f: f

  monkeypatch.setitem(sys.modules, 'numba', types.SimpleNamespace(njit=njit))
  assert compiled.compiled(_double.py_func).compiled is _double.py_func
  assert asked == [True, False]


def test_importing_the_package_does_not_import_numba():
  code = 'import sys, jcompress; assert "numba" not in sys.modules'
  subprocess.run([sys.executable, '-c', code], check=True)
