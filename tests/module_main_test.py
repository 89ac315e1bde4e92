import runpy
import sys

import jcompress as jc


def test_the_package_runs_as_its_command(monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['jcompress', '--version'])
  # Another test of this process may have imported it.
  monkeypatch.delitem(sys.modules, 'jcompress.__main__', raising=False)
  runpy.run_module('jcompress', run_name='__main__')
  assert capsys.readouterr().out == f'jcompress {jc.__version__}\n'
