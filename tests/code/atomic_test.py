import os
import stat

import pytest

from jcompress.code.atomic import replace_file


def mode(path):
  return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_mode_of_the_process_an_old_one_keeps_its(tmp_path):
  path = tmp_path / 'a'
  before = os.umask(0o027)
  try:
    replace_file(path, lambda p: p.write_text('1'))
    assert mode(path) == 0o640
    path.chmod(0o600)
    replace_file(path, lambda p: p.write_text('2'))
  finally:
    os.umask(before)
  assert mode(path) == 0o600 and path.read_text() == '2'


def test_a_link_stays_a_link(tmp_path):
  target, link = tmp_path / 'target', tmp_path / 'link'
  target.write_text('old')
  link.symlink_to(target)
  replace_file(link, lambda p: p.write_text('new'))
  assert link.is_symlink() and target.read_text() == 'new'


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
  path = tmp_path / 'a'
  path.write_text('old')

  def fail(temporary):
    temporary.write_text('half')
    raise OSError('no space')

  with pytest.raises(OSError, match='no space'):
    replace_file(path, fail)
  assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a']
