"""One quantizer for all arrays of a network, as a stage of a recipe."""

from collections.abc import Mapping
from typing import Any

from jcompress import tree
from jcompress.base import Compressor
from jcompress.planning.choices import Choice
from jcompress.planning.plan import Plan, known_moments


def one_for_all(
  choice: Choice,
  params: Any,
  pattern: str,
  *,
  moments: Mapping[str, Any] | None = None,
  otherwise: Choice | None = None,
) -> Compressor:
  """A compressor that quantizes arrays alike, once: nothing trains on.

  Args:
    choice: of the arrays that match and, with `otherwise`, have moments.
    params: of the network.
    pattern: of the paths of the arrays.
    moments: by path, where the choice needs them.
    otherwise: the choice of arrays that match and have no moments, such as
      tables under GPTQ.

  Raises:
    ValueError: the pattern matches no leaf.
  """
  known = known_moments(moments)
  paths = tree.paths(tree.split(pattern, params)[0])
  of = lambda path: choice if not otherwise or path in known else otherwise
  return Plan({p: of(p) for p in paths}, 0, 0.0).compressor(moments)
