"""Files that are there whole or not at all."""

import contextlib
import os
import pathlib
import stat
import tempfile
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar('Result')


def replace_file(
  path: str | os.PathLike[str], write: Callable[[pathlib.Path], Result]
) -> Result:
  """Writes a file beside its place, then moves it there; gives what it gave.

  What a symbolic link points to is replaced, not the link. A file that was
  there keeps its mode; a new one gets that of the process.

  Args:
    path: of the file.
    write: writes another file, whose path it is given.

  Raises:
    OSError: it cannot be written; an older file of its name is kept.
  """
  path = pathlib.Path(os.path.realpath(path))
  mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else _new_mode()
  handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
  os.close(handle)
  try:
    result = write(pathlib.Path(name))
    with open(name, 'rb+') as file:
      os.fsync(file.fileno())
    os.chmod(name, mode)
    os.replace(name, path)
  except BaseException:
    with contextlib.suppress(OSError):
      os.unlink(name)
    raise
  return result


def _new_mode():
  mask = os.umask(0)
  os.umask(mask)
  return 0o666 & ~mask
