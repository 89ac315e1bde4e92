"""Tests of processes that wait for each other."""

import subprocess
import sys

from jcompress.experiments.locks import alone_in

TRY = """
import fcntl, sys
with open(sys.argv[1], 'w') as lock:
  fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


def test_a_folder_is_for_one_process_at_a_time(tmp_path):
  words = [sys.executable, '-c', TRY, str(tmp_path / '.lock')]
  free = lambda: subprocess.run(words, capture_output=True).returncode == 0
  with alone_in(tmp_path):
    assert not free()
  assert free()
