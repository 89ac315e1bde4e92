"""Trees of parameters: leaf paths, splitting by pattern, checks.

Linen dicts, nnx states and plain nested containers give the same paths:
`fc1/kernel`. A tree split in two keeps its structure in both halves, with
`None` where the leaf went to the other half.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jcompress.patterns import KERNELS as KERNELS
from jcompress.patterns import matches

Tree = Any


def is_none(x: Any) -> bool:
  return x is None


def path_string(path: tuple[Any, ...]) -> str:
  """Writes a JAX key path as `fc1/kernel`.

  An nnx state wraps each array in a variable whose path ends in `value`; that
  last part is dropped, so that one pattern serves linen and nnx.
  """
  parts = [
    getattr(k, 'key', getattr(k, 'name', getattr(k, 'idx', k))) for k in path
  ]
  is_variable = (
    len(path) > 1
    and isinstance(path[-1], jax.tree_util.GetAttrKey)
    and path[-1].name == 'value'
  )
  return '/'.join(str(p) for p in (parts[:-1] if is_variable else parts))


def paths(tree: Tree, is_leaf: Callable[[Any], bool] | None = None):
  """Lists the leaf paths of a tree, in the order of its leaves."""
  leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_leaf)
  return [path_string(p) for p, _ in leaves]


def by_name(tree: Tree) -> dict[str, Any]:
  """The leaves of a tree by their paths.

  Raises:
    ValueError: two paths read alike.
  """
  names = paths(tree)
  found = dict(zip(names, jax.tree.leaves(tree), strict=True))
  if len(found) < len(names):
    twice = sorted({name for name in names if names.count(name) > 1})
    raise ValueError(f'Several leaves are called {", ".join(twice)}.')
  return found


def split_all(patterns: Sequence[str], tree: Tree) -> tuple[list[Tree], Tree]:
  """Gives each leaf to the first pattern that matches its whole path.

  Args:
    patterns: regular expressions.
    tree: any pytree.

  Returns:
    One tree a pattern, and the tree of the leaves that no pattern matched; all
    with the structure of `tree` and `None` in place of the other leaves.

  Raises:
    ValueError: a pattern matches no leaf, or only leaves that an earlier
      pattern took.
  """
  names = paths(tree)
  owners = _owners(patterns, names)
  for i, pattern in enumerate(patterns):
    if i in owners:
      continue
    taken = [name for name in names if matches(pattern, name)]
    if taken:
      raise ValueError(
        f'Pattern {pattern!r} matches only leaves that an earlier pattern of '
        f'{list(patterns)} took: {", ".join(taken)}. Put it before that one.'
      )
    raise ValueError(
      f'Pattern {pattern!r} matches no leaf of: {", ".join(names)}.'
    )
  return deal(patterns, tree)


def deal(
  patterns: Sequence[str],
  tree: Tree,
  is_leaf: Callable[[Any], bool] | None = None,
) -> tuple[list[Tree], Tree]:
  """`split_all` without its demands: a pattern may get nothing.

  Args:
    patterns: regular expressions.
    tree: any pytree.
    is_leaf: what counts as a leaf beside arrays.
  """
  owners = _owners(patterns, paths(tree, is_leaf))
  leaves, treedef = jax.tree.flatten(tree, is_leaf=is_leaf)
  part = lambda i: jax.tree.unflatten(
    treedef,
    [x if j == i else None for x, j in zip(leaves, owners, strict=True)],
  )
  return [part(i) for i in range(len(patterns))], part(None)


def _owners(patterns, names):
  """The first pattern that matches each name, by its number, or `None`."""
  return [
    next((i for i, p in enumerate(patterns) if matches(p, name)), None)
    for name in names
  ]


def is_float(x: Any) -> bool:
  """Whether a leaf is made of floats: not of integers, booleans or keys."""
  return jnp.issubdtype(getattr(x, 'dtype', type(x)), jnp.floating)


def is_key(x: Any) -> bool:
  """Whether a leaf is an array of PRNG keys, which are no numbers."""
  return jnp.issubdtype(getattr(x, 'dtype', type(x)), jax.dtypes.prng_key)


def split_floats(tree: Tree) -> tuple[Tree, Tree]:
  """Splits a tree into the leaves that are floats, and all others."""
  floats = jax.tree.map(lambda x: x if is_float(x) else None, tree)
  others = jax.tree.map(lambda x: None if is_float(x) else x, tree)
  return floats, others


def owned(tree: Tree) -> Tree:
  """Copies each array, so that its buffer is nobody else's and may be donated.

  While tracing there are no buffers, and nothing is copied.
  """
  is_traced = lambda x: isinstance(x, jax.core.Tracer)
  return jax.tree.map(
    lambda x: x if is_traced(x) else jnp.array(x, copy=True), tree
  )


def pure(tree: Tree, kind: str = 'Variable') -> Tree:
  """Takes the arrays out of the nnx variables of a tree.

  Args:
    tree: any pytree.
    kind: name of a class of `flax.nnx`; variables of other classes stay.
  """
  nnx = sys.modules.get('flax.nnx')
  if nnx is None:  # then nobody can have made one
    return tree
  is_variable = lambda x: isinstance(x, getattr(nnx, kind))
  unwrap = lambda x: x.get_value() if is_variable(x) else x
  return jax.tree.map(unwrap, tree, is_leaf=is_variable)


def form(tree: Tree) -> tuple[Any, list[tuple[int, ...]]]:
  """The containers of a tree and the shapes of its arrays, to compare."""
  return jax.tree.structure(tree), [x.shape for x in jax.tree.leaves(tree)]


def like(tree: Tree, form: Tree) -> Tree:
  """The leaves of a tree, `None` among them, in the containers of another."""
  leaves = jax.tree.leaves(tree, is_leaf=is_none)
  return jax.tree.unflatten(jax.tree.structure(form), leaves)


def split(pattern: str, tree: Tree) -> tuple[Tree, Tree]:
  """Splits a tree into the leaves whose whole path matches, and the rest."""
  (chosen,), rest = split_all([pattern], tree)
  return chosen, rest


def join(*parts: Tree, is_leaf: Callable[[Any], bool] = is_none) -> Tree:
  """Puts the parts of a split tree together again.

  Args:
    *parts: trees of one structure; at each leaf at most one is not `None`.
    is_leaf: what counts as a leaf beside `None`.
  """
  first = lambda *xs: next((x for x in xs if x is not None), None)
  stop = lambda x: x is None or is_leaf(x)
  return jax.tree.map(first, *parts, is_leaf=stop)


def label_parts(tree: Tree, kind: type, label: Callable[[Any], Any]) -> Tree:
  """`label(x)` for each `x` of a kind in the tree, else 'weights'."""
  is_kind = lambda x: isinstance(x, kind)
  name = lambda x: label(x) if is_kind(x) else 'weights'
  return jax.tree.map(name, tree, is_leaf=is_kind)


def to_host(x: jax.typing.ArrayLike) -> np.ndarray:
  """Copies one array, sharded over this or other processes, to NumPy.

  Of PRNG keys it copies the words. Bytes are put into the order of this
  machine.
  """
  if isinstance(x, jax.Array) and is_key(x):
    x = jax.random.key_data(x)
  is_spread = isinstance(x, jax.Array) and not (
    x.is_fully_addressable or x.is_fully_replicated
  )
  if is_spread:
    from jax.experimental import multihost_utils

    x = multihost_utils.process_allgather(x, tiled=True)
  return native(np.asarray(x))


def native(x: Any) -> Any:
  """A NumPy array in the byte order of this machine; anything else as it is."""
  if not isinstance(x, (np.ndarray, np.generic)):
    return x
  return x.astype(x.dtype.newbyteorder('='), copy=False)


def replicated(x: jax.Array, axes: Sequence[int] | None = None) -> jax.Array:
  """The same array, whole on each device of its mesh; works under `jit`.

  Args:
    x: any array.
    axes: along which it must be whole; along all if not given.
  """
  sharding = jax.typeof(x).sharding
  if sharding.mesh.empty:
    return x
  whole = range(x.ndim) if axes is None else axes
  spec = (None if i in whole else s for i, s in enumerate(sharding.spec))
  place = NamedSharding(sharding.mesh, PartitionSpec(*spec))
  return jax.sharding.reshard(x, place)


def placed_as(x: jax.Array, like: jax.Array) -> jax.Array:
  """The same array, laid out over a mesh as another of its shape."""
  sharding = jax.typeof(like).sharding
  return x if sharding.mesh.empty else jax.sharding.reshard(x, sharding)
