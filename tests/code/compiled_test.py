"""Tests of the compiling of loops."""

import importlib.util
import subprocess
import sys

import numpy as np

from jcompress.code import compiled


def _double(x):
  for i in range(len(x)):
    x[i] *= 2


def test_without_numba_the_function_runs_as_it_is(monkeypatch):
  monkeypatch.setitem(sys.modules, 'numba', None)
  spec = importlib.util.find_spec('jcompress.code.compiled')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  f = module.compiled(_double)
  assert f is _double and f.py_func is _double
  x = np.arange(3)
  f(x)
  np.testing.assert_array_equal(x, [0, 2, 4])


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch):
  asked = []

  def njit(f=None, **settings):
    asked.append(settings.get('cache'))
    if settings.get('cache'):
      raise RuntimeError('cannot cache function: no locator available')
    return lambda f: f

  class Numba:
    pass

  Numba.njit = staticmethod(njit)
  monkeypatch.setattr(compiled, 'numba', Numba)
  assert compiled.compiled(_double) is _double
  assert asked == [True, None]


def test_importing_the_package_does_not_import_numba():
  code = 'import sys, jcompress; assert "numba" not in sys.modules'
  subprocess.run([sys.executable, '-c', code], check=True)
