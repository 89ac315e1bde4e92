"""The config files that come with the package, by name instead of by path."""

import pathlib

PREFIX = 'jcompress:'
PACKAGE = pathlib.Path(__file__).parents[1]


def folder(package: pathlib.Path = PACKAGE) -> pathlib.Path:
  """Where they lie: in the installed package, or beside it in a checkout."""
  inside = package / 'configs'
  return inside if inside.is_dir() else package.parent / 'configs'


def located(name: str, package: pathlib.Path = PACKAGE) -> str:
  """`FILE.py[:ROW]` for `jcompress:FILE[:ROW]`; any other name is a path.

  Args:
    name: what `--config` takes.
    package: the folder of the package.

  Raises:
    ValueError: no such file comes with the package.
  """
  if not name.startswith(PREFIX):
    return name
  family, colon, row = name.removeprefix(PREFIX).partition(':')
  known = sorted(p.stem for p in folder(package).glob('*.py'))
  if family not in known:
    raise ValueError(
      f'No config {name!r} comes with the package; there are '
      f'{", ".join(known) or "none"}: give --config={PREFIX}NAME[:ROW].'
    )
  return f'{folder(package) / family}.py{colon}{row}'
