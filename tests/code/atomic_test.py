import multiprocessing
import os
import random
import stat
import time

import numpy as np
import pytest

import jcompress as jc
from jcompress.code.atomic import replace_file


@pytest.fixture(params=['unnamed', 'named'], autouse=True)
def way(request, monkeypatch):
  """Both ways: files without a name until they are whole, and with one."""
  if request.param == 'named':
    monkeypatch.delattr(os, 'O_TMPFILE', raising=False)
  elif not hasattr(os, 'O_TMPFILE'):
    pytest.skip('this system has no files without a name')
  return request.param


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


@pytest.mark.parametrize('there', [False, True])
def test_half_a_file_has_no_name_where_it_can_be(tmp_path, way, there):
  path = tmp_path / 'a'
  if there:
    path.write_text('old')
  before = os.listdir(tmp_path)

  def write(temporary):
    temporary.write_text('new')
    return os.listdir(tmp_path)

  during = replace_file(path, write)
  assert path.read_text() == 'new' and os.listdir(tmp_path) == ['a']
  assert len(during) == len(before) + (way == 'named')


def test_the_old_file_is_kept_where_the_new_one_cannot_have_its_name(
  tmp_path, monkeypatch
):
  path = tmp_path / 'a'
  path.write_text('old')

  def refuse(*_):
    raise OSError('no right')

  monkeypatch.setattr(os, 'replace', refuse)
  with pytest.raises(OSError, match='no right'):
    replace_file(path, lambda p: p.write_text('new'))
  assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a']


def test_a_system_without_links_has_the_file_too(tmp_path, monkeypatch):
  path = tmp_path / 'a'

  def refuse(*_, **__):
    raise PermissionError('no links')

  monkeypatch.setattr(os, 'link', refuse)
  for text in ('1', '2'):
    replace_file(path, lambda p, text=text: p.write_text(text))
    assert path.read_text() == text and os.listdir(tmp_path) == ['a']


def save_for_ever(path, way):
  """Saves one tree, then another, and again."""
  if way == 'named' and hasattr(os, 'O_TMPFILE'):
    del os.O_TMPFILE
  for i in range(10**9):
    jc.save(path, tree(i % 2), metadata={'which': i % 2}, coder='raw')


def tree(which):
  return {
    'w': np.full((200, 500), which, np.float32) + np.arange(500.0, dtype='f')
  }


@pytest.mark.slow
def test_a_killed_save_leaves_the_old_file_or_the_new_one(tmp_path, way):
  rng = random.Random(0)
  context = multiprocessing.get_context('forkserver')
  context.set_forkserver_preload(['jcompress'])
  path = tmp_path / 'net.jcz'
  jc.save(path, tree(0), metadata={'which': 0}, coder='raw')
  seen, left = set(), 0
  for _ in range(50):
    before = path.stat().st_ino
    process = context.Process(target=save_for_ever, args=(path, way))
    process.start()
    deadline = time.monotonic() + 60
    while path.stat().st_ino == before:
      assert process.is_alive() and time.monotonic() < deadline
      time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.1))
    process.kill()
    process.join()
    found = jc.load(path)
    which = found.metadata['which']
    np.testing.assert_array_equal(jc.decode(found.tree)['w'], tree(which)['w'])
    seen.add(which)
    now = len(os.listdir(tmp_path)) - 1
    assert now - left <= 1
    left = now
  assert seen == {0, 1}
  assert left < 5 or way == 'named'
