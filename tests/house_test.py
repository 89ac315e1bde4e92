"""No import runs up: a room uses only those on the floors below it.

And no two tests have one name.
"""

import ast
import collections
import pathlib

import pytest

import jcompress

ROOT = pathlib.Path(jcompress.__file__).parent

FLOORS = (
  ('numerics', 'patterns', 'schedules', 'html_table'),
  ('tree',),
  ('finite',),
  ('traced', 'arithmetic', 'losses'),
  ('encoded', 'channels'),
  ('code', 'base'),
  ('passing', 'one_by_one'),
  ('leafwise', 'stacked'),
  ('mask', 'combine', 'optimizer', 'reports'),
  ('train', 'bridge', 'chain'),
  ('binarize',),
  ('share', 'prune', 'models', 'distill'),
  ('quantize', 'structure', 'factor'),
  ('planning',),
  ('ops',),
  ('__init__',),
  ('experiments',),
  ('main',),
  ('__main__',),
)
FILES = sorted(ROOT.rglob('*.py'))


def room_of(path):
  parts = path.relative_to(ROOT).with_suffix('').parts
  return parts[0]


def rooms_used(source):
  """The rooms that the imports of a source name."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names = [f'{node.module}.{alias.name}' for alias in node.names]
    else:
      continue
    for name in names:
      package, _, inner = name.partition('.')
      if package == 'jcompress':
        room = inner.split('.')[0]
        is_room = (ROOT / room).is_dir() or (ROOT / f'{room}.py').exists()
        yield room if inner and is_room else '__init__'


def floor_of(room):
  return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def test_each_room_has_a_floor():
  assert {room_of(f) for f in FILES} == {r for rooms in FLOORS for r in rooms}


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_lead_down(path):
  room = room_of(path)
  for used in set(rooms_used(path.read_text())) - {room}:
    assert floor_of(used) < floor_of(room), f'{room} imports {used}'


def test_an_import_that_leads_up_is_seen():
  assert list(rooms_used('from jcompress.main import run')) == ['main']
  assert list(rooms_used('from jcompress import tree, prox')) == [
    'tree',
    '__init__',
  ]
  assert list(rooms_used('import jcompress as jc, numpy')) == ['__init__']


def test_names_of_tests_differ():
  """Tests without packages are imported by the name of their file alone."""
  paths = pathlib.Path(__file__).parent.rglob('*_test.py')
  counts = collections.Counter(path.name for path in paths)
  assert len(counts) > 300
  assert [name for name, count in counts.items() if count > 1] == []
