"""Trees of parameters: leaf paths, splitting by pattern, checks.

Linen dicts, nnx states and plain nested containers give the same paths:
`fc1/kernel`. A tree split in two keeps its structure in both halves, with
`None` where the leaf went to the other half.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

Tree = Any

KERNELS = r'.*/kernel'


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
    taken = [name for name in names if re.fullmatch(pattern, name)]
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
    next((i for i, p in enumerate(patterns) if re.fullmatch(p, name)), None)
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

  Of PRNG keys it copies the words.
  """
  if isinstance(x, jax.Array) and is_key(x):
    x = jax.random.key_data(x)
  is_spread = isinstance(x, jax.Array) and not (
    x.is_fully_addressable or x.is_fully_replicated
  )
  if is_spread:
    from jax.experimental import multihost_utils

    x = multihost_utils.process_allgather(x, tiled=True)
  return np.asarray(x)


def replicated(x: jax.Array) -> jax.Array:
  """The same array, whole on each device of its mesh; works under `jit`."""
  mesh = jax.typeof(x).sharding.mesh
  if mesh.empty:
    return x
  return jax.sharding.reshard(x, NamedSharding(mesh, PartitionSpec()))


def placed_as(x: jax.Array, like: jax.Array) -> jax.Array:
  """The same array, laid out over a mesh as another of its shape."""
  sharding = jax.typeof(like).sharding
  return x if sharding.mesh.empty else jax.sharding.reshard(x, sharding)


def _is_cut(x):
  """Whether JAX would change the integers of a NumPy array."""
  if not isinstance(x, (np.ndarray, np.generic)) or x.dtype.kind not in 'iu':
    return False
  narrow = np.iinfo(jax.dtypes.canonicalize_dtype(x.dtype))
  return bool(((x < narrow.min) | (x > narrow.max)).any())


def require_finite(tree: Tree, when: str) -> None:
  """Raises a `ValueError` that names the leaves with NaN or inf.

  Numbers that are finite in NumPy and not in the type in which JAX would hold
  them count as inf, and integers that do not fit are refused, too. Does nothing
  while tracing: the values are not there to be looked at.
  """
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  cut = [path_string(p) for p, x in leaves if _is_cut(x)]
  if cut:
    raise ValueError(
      f'{", ".join(cut)} at {when}: 64-bit integers that do not fit into 32 '
      "bits. Switch on jax.config.update('jax_enable_x64', True), or keep them "
      'out of the params; pack() takes them as they are.'
    )
  floats = [
    (p, x)
    for p, x in leaves
    if hasattr(x, 'dtype') and jnp.issubdtype(x.dtype, jnp.floating)
  ]
  if any(isinstance(x, jax.core.Tracer) for _, x in floats):
    return
  with jax.ensure_compile_time_eval():
    bad = [path_string(p) for p, x in floats if not jnp.isfinite(x).all()]
  if bad:
    raise ValueError(
      f'NaN or inf in {", ".join(bad)} at {when}. Look at the training run '
      'that produced these weights (learning rate, loss scale) first.'
    )
