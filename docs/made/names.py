"""The public names, and where each of them is explained."""

import inspect
import types

import jcompress as jc
from jcompress import models

MODULES = {
  'distill': jc.distill,
  'ops': jc.ops,
  'models': models,
  'layers': jc.layers,
  'curvature': jc.curvature,
  'losses': jc.losses,
  'schedules': jc.schedules,
  'encoded': jc.encoded,
  'densities': jc.densities,
  'tree': jc.tree,
}


def of_package() -> list[str]:
  """The public names that are no modules, in order."""
  return [n for n in jc.__all__ if not is_module(getattr(jc, n))]


def of_module(name: str) -> list[str]:
  """The public names of one of `MODULES`.

  Of a package or of `ops` those that it exports, of a file those that are
  defined in it.
  """
  module = MODULES[name]
  listed = getattr(module, '__all__', None)
  if listed is not None:
    return list(listed)
  inside = module.__name__
  return sorted(
    key
    for key, value in vars(module).items()
    if not key.startswith('_')
    and (inspect.isfunction(value) or inspect.isclass(value))
    and (value.__module__ + '.').startswith(inside + '.')
  )


def room(name: str) -> str:
  """The folder or file of the package that a name is from, such as `prune`."""
  module = getattr(getattr(jc, name), '__module__', 'jcompress.tree')
  return module.split('.')[1]


def of_rooms(rooms: list[str]) -> list[str]:
  """The names of some folders."""
  return [n for n in of_package() if room(n) in rooms]


def places() -> dict[str, str]:
  """Where each name is explained, as the pages write it: `ops.sign`."""
  found = {name: f'jcompress.{name}' for name in of_package()}
  for module, value in MODULES.items():
    for name in of_module(module):
      found[f'{module}.{name}'] = f'{value.__name__}.{name}'
  return found


def summary(value) -> str:
  """The first line of a docstring, or the value of a constant."""
  if isinstance(value, str):
    return f'`{value!r}`.'
  return (inspect.getdoc(value) or '').partition('\n')[0]


def is_module(value) -> bool:
  return isinstance(value, types.ModuleType)
