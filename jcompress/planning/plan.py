"""A plan: what becomes of each array, as a small file that can be read."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jcompress import tree
from jcompress.base import Compressor
from jcompress.encoded import as_it_is, decode
from jcompress.planning.choices import Choice, quantized
from jcompress.traced.kronecker import UNKNOWN, Moments

_VERSION = 1


class Point(NamedTuple):
  """A network that was made and measured on the way to a plan."""

  size: int  # bytes of the file
  error: float  # of the metric


def known_moments(moments: Mapping[str, Any] | None) -> dict[str, Moments]:
  """One matrix for each side of an array; of layers with groups, none."""
  found = {}
  for path, m in (moments or {}).items():
    given = m if isinstance(m, Moments) else Moments(m)
    one = Moments(*map(_one, given))
    if any(x is not None for x in one):
      found[path] = one
  return found


def _one(x):
  """The matrix of the only group, or a vector; None if there are several."""
  if x is None:
    return None
  x = np.asarray(x, np.float64)
  if x.ndim == 3:
    return x[0] if len(x) == 1 else None
  return x


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

  def apply(self, params: Any, moments: Mapping[str, Any] | None = None) -> Any:
    """Encodes params as planned; the same bytes for the same params.

    Args:
      params: those that it was made for, or others of their paths.
      moments: what `plan` was given.

    Raises:
      ValueError: an array of the plan is not among the params; moments that it
        needs are missing.
    """
    moments = known_moments(moments)
    unknown = [p for p in self.choices if p not in tree.paths(params)]
    if unknown:
      raise ValueError(
        f'The plan is for {", ".join(unknown)}, and the params are '
        f'{", ".join(tree.paths(params))}.'
      )

    def encode(path, w):
      name = tree.path_string(path)
      choice = self.choices.get(name)
      if choice is None:
        return as_it_is(w)
      return quantized(choice, w, moments.get(name, UNKNOWN))

    return jax.tree_util.tree_map_with_path(encode, params)

  def compressor(self, moments: Mapping[str, Any] | None = None) -> Compressor:
    """The plan for a stage of a recipe: what it encodes stays as it is.

    There is no latent: nothing trains on.

    Args:
      moments: what `plan` was given.
    """
    return Compressor(
      init=lambda params: ((), self.apply(params, moments)),
      view=lambda latent, state: decode(state),
      encode=lambda latent, state: state,
    )

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
