"""One process at a time in a folder."""

import contextlib
import fcntl
import pathlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def alone_in(workdir: pathlib.Path) -> Iterator[None]:
  """Waits until no other process of this machine is at work there.

  The processes of one run on several hosts do not wait for each other.
  """
  if jax.process_count() > 1:
    yield
    return
  with (workdir / '.lock').open('w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
