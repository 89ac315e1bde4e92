"""A plan: what becomes of each array, as a small file that can be read."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from jcompress import tree
from jcompress.encoded import as_it_is
from jcompress.planning.choices import Choice, quantized

_VERSION = 1


class Point(NamedTuple):
  """A network that was made and measured on the way to a plan."""

  size: int  # bytes of the file
  error: float  # of the metric


class Plan(NamedTuple):
  """The quantizer of each array, and what was measured.

  Attributes:
    choices: by leaf path; arrays that are not named ship as they are.
    size: bytes of the file.
    error: what the metric gave for what the file decodes to.
    points: everything that was measured, from small to large.
  """

  choices: Mapping[str, Choice]
  size: int
  error: float
  points: tuple[Point, ...] = ()

  def apply(self, params: Any) -> Any:
    """Encodes params as planned; the same bytes for the same params.

    Raises:
      ValueError: an array of the plan is not among the params.
    """
    unknown = [p for p in self.choices if p not in tree.paths(params)]
    if unknown:
      raise ValueError(
        f'The plan is for {", ".join(unknown)}, and the params are '
        f'{", ".join(tree.paths(params))}.'
      )

    def encode(path, w):
      choice = self.choices.get(tree.path_string(path))
      return as_it_is(w) if choice is None else quantized(choice, w)

    return jax.tree_util.tree_map_with_path(encode, params)

  def to_json(self) -> str:
    """The plan as text, one array a line."""
    lines = [
      f'    {json.dumps(path)}: {json.dumps([c.method, dict(c.settings)])}'
      for path, c in self.choices.items()
    ]
    head = {'version': _VERSION, 'size': self.size, 'error': self.error}
    rest = ''.join(f'  "{k}": {json.dumps(v)},\n' for k, v in head.items())
    points = json.dumps([list(p) for p in self.points])
    body = ',\n'.join(lines)
    return (
      f'{{\n{rest}  "points": {points},\n  "choices": {{\n{body}\n  }}\n}}\n'
    )

  @classmethod
  def from_json(cls, text: str) -> 'Plan':
    """Reads what `to_json` wrote.

    Raises:
      ValueError: it is not a plan, or of a later version.
    """
    try:
      found = json.loads(text)
      version = found['version']
      if version != _VERSION:
        raise ValueError(
          f'version {version}; this jcompress reads {_VERSION}: upgrade it'
        )
      choices = {
        path: Choice(str(method), dict(settings))
        for path, (method, settings) in found['choices'].items()
      }
      points = tuple(Point(int(s), float(e)) for s, e in found['points'])
      return cls(choices, int(found['size']), float(found['error']), points)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
      raise ValueError(f'This is not a plan: {error}.') from error
