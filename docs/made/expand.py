"""The text that the comments in the pages stand for."""

import pathlib
import re
import tomllib

import jcompress as jc
from made import laws, names, results

DOCS = pathlib.Path(__file__).parents[1]
MARK = re.compile(r'<!-- made: (\w+) ?(.*?) -->')
METHODS = (
  *('prune', 'quantize', 'binarize', 'share', 'structure', 'channels'),
  *('factor', 'planning'),
)


def expand(text: str) -> str:
  """A page with all of its comments in full.

  Raises:
    ValueError: a comment that asks for what there is not.
  """
  text = re.sub(r'^\|.*$', lambda m: linked(m[0]), text, flags=re.M)
  return MARK.sub(lambda m: _MAKERS[m[1]](m[2].split()), text)


def linked(line: str) -> str:
  """A line of a table, its public names links to where they are explained."""
  found = names.places()
  link = lambda m: f'[`{m[1]}`][{found[m[1]]}]' if m[1] in found else m[0]
  return re.sub(r'(?<!\[)`([\w.]+)`', link, line)


def used_rows() -> dict[str, list[str]]:
  """The rows of the configs that show a method, by its name."""
  return tomllib.loads((DOCS / 'made/rows.toml').read_text())


def page_of(config: str) -> str:
  """The page of the results, or another one, that has a config."""
  mark = f'<!-- made: config {config} -->'
  for path in sorted(DOCS.rglob('*.md')):
    if mark in path.read_text():
      return path.relative_to(DOCS).as_posix()
  raise ValueError(f'No page has {mark}.')


def _methods(rooms):
  """All methods of some folders of the package."""
  return '\n'.join(_method(name) for name in names.of_rooms(rooms))


def _method(name):
  text = f'::: jcompress.{name}\n\n'
  about = laws.of(name)
  if about:
    text += f'*Laws.* {about}\n\n'
  for config, rows in _by_config(used_rows().get(name, [])).items():
    text += _source(config, rows, '../')
    text += results.rows(config, rows) if rows else ''
  return text


def _rows(wanted):
  """Rows of tables, each with the command that makes it."""
  return ''.join(
    _source(config, rows, '') + results.rows(config, rows)
    for config, rows in _by_config(wanted).items()
  )


def _source(config, rows, up):
  row = f':{rows[0]}' if rows else ''
  command = f'jcompress train --config=configs/{config}.py{row}'
  page = page_of(config)
  return f'Source: `{command}`, [{config}]({up}{page}#{config}).\n\n'


def _by_config(wanted):
  found = {}
  for name in wanted:
    config, _, row = name.partition(':')
    found.setdefault(config, []).extend([row] if row else [])
  return found


def _config(words):
  (config,) = words
  return results.page(config)


def _reference(words):
  """Everything of a module; of the package what has no page of its own."""
  (module,) = words
  if module == 'jcompress':
    rest = [n for n in names.of_package() if names.room(n) not in METHODS]
    return '\n'.join(f'::: jcompress.{name}\n' for name in rest)
  return '\n'.join(
    f'::: {names.MODULES[module].__name__}.{name}\n'
    for name in names.of_module(module)
  )


def _module(words):
  (module,) = words
  return f'::: {module}\n'


def _names(words):
  """A table of all public names, each a link to its place."""
  del words
  text = '| name | what it does |\n|---|---|\n'
  for name in jc.__all__:
    value = getattr(jc, name)
    if names.is_module(value):
      text += f'| [`{name}`]({name}.md) | {names.summary(value)} |\n'
    else:
      text += _line(f'jcompress.{name}', name, value)
  for module, value in names.MODULES.items():
    for name in names.of_module(module):
      path = f'{value.__name__}.{name}'
      text += _line(path, f'{module}.{name}', getattr(value, name))
  return text


def _line(path, name, value):
  return f'| [`{name}`][{path}] | {names.summary(value)} |\n'


def _include(words):
  """A page from beside this folder, its links as they are from here."""
  (path,) = words
  return (DOCS.parent / path).read_text().replace('](docs/', '](')


_MAKERS = {
  'methods': _methods,
  'rows': _rows,
  'config': _config,
  'reference': _reference,
  'module': _module,
  'names': _names,
  'include': _include,
}
