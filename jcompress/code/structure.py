"""The tree around the leaves as plain values, and back.

A dict becomes a map, a list `[0, ...]`, a tuple `[1, ...]`, `None` nil, and a
leaf the number of its record. Mappings and nodes that JAX flattens by dict keys
(nnx states) become dicts, and nnx variables their value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jcompress import encoded, tree
from jcompress.code import arrays, plain

_LIST, _TUPLE = 0, 1


def to_plain(
  node: Any, put: Callable[[encoded.Encoded, str], int], path: str = ''
) -> Any:
  """Turns a tree into plain values.

  Args:
    node: nested dicts, lists and tuples; leaves encoded, or arrays (`Dense`).
    put: takes a leaf and its path, and gives the number of its record.
    path: of the node.

  Raises:
    ValueError: a node of another type, naming its path.
  """
  if path.count('/') > plain.DEPTH - 8:
    raise ValueError(f'The tree is nested too deeply at {path[:60]!r}.')
  if node is None:
    return None
  if isinstance(node, encoded.Encoded):
    return put(node, path)
  if isinstance(node, (jax.Array, np.ndarray, np.generic)):
    return put(_leaf(node, path or 'The leaf'), path)
  if type(node) in (list, tuple):
    tag = _LIST if type(node) is list else _TUPLE
    items = enumerate(node)
    return [tag, *(to_plain(v, put, _join(path, i)) for i, v in items)]
  node = _as_dict(node, path)
  if isinstance(node, dict):
    check_keys(node, path or 'The tree')
    return {k: to_plain(node[k], put, _join(path, k)) for k in _sorted(node)}
  return to_plain(node, put, path)


def check_keys(keys: Iterable[Any], what: str) -> None:
  """Refuses keys of a dict that are not str or int, by a `ValueError`."""
  for key in keys:
    if type(key) not in (str, int):
      raise ValueError(
        f'{what} has the key {key!r} of type {type(key).__name__}: keys must '
        'be str or int.'
      )


def in_order(node: Any) -> Any:
  """Plain dicts in dicts with their keys in the order of a file."""
  if type(node) is not dict:
    return node
  return {k: in_order(node[k]) for k in _sorted(node)}


def from_plain(node: Any, leaves: Sequence[Any]) -> Any:
  """Inverts `to_plain`; what it cannot have written is a `ValueError`."""
  if node is None:
    return None
  if type(node) is int:
    return leaves[_number(node, len(leaves))]
  if type(node) is dict:
    return {k: from_plain(v, leaves) for k, v in node.items()}
  if type(node) is list and node and type(node[0]) is int:
    items = [from_plain(v, leaves) for v in node[1:]]
    if node[0] == _LIST:
      return items
    if node[0] == _TUPLE:
      return tuple(items)
  raise ValueError('Damaged header: a node of the tree of an unknown kind.')


def leaf_paths(node: Any, path: str = '') -> list[tuple[str, int]]:
  """Path and record number of each leaf, in order; `node` has been checked."""
  if type(node) is int:
    return [(path, node)]
  if type(node) is dict:
    items = list(node.items())
  else:
    items = list(enumerate(node[1:])) if node else []
  return [leaf for k, v in items for leaf in leaf_paths(v, _join(path, k))]


def _leaf(x, path):
  if isinstance(x, jax.Array):
    return encoded.as_it_is(x)
  x = tree.native(np.asarray(x))
  arrays.check(x, path, finite=False)
  return encoded.as_it_is(arrays.to_device(x))


def _sorted(keys):
  return sorted(keys, key=lambda k: (type(k) is str, k))


def _number(i, n):
  if not 0 <= i < n:
    raise ValueError(f'Damaged header: leaf {i} of {n} records.')
  return i


def _join(path, key):
  return f'{path}/{key}' if path else str(key)


def _as_dict(node, path):
  """A dict of the children, or the value of a variable."""
  if isinstance(node, Mapping):
    return dict(node)
  keys = []
  if not hasattr(node, '_fields'):
    registry = jax.tree_util.default_registry
    flat = registry.flatten_one_level_with_keys(node)
    keys = list(flat[0]) if flat is not None else []
  if len(keys) == 1 and keys[0][0] == jax.tree_util.GetAttrKey('value'):
    return keys[0][1]
  if keys and all(isinstance(k, jax.tree_util.DictKey) for k, _ in keys):
    return {k.key: v for k, v in keys}
  raise ValueError(
    f'{path or "The tree"} is of type {type(node).__name__}: a file holds '
    'nested dicts, lists and tuples of encoded leaves and arrays. Convert it '
    'to a dict first (a NamedTuple by x._asdict()).'
  )
