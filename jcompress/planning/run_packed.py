"""Running a model from its encoded tree, each leaf decoded where it is used."""

import math
from collections.abc import Callable
from typing import Any

import jax

from jcompress import encoded
from jcompress.planning.turns import Leaf, Turns, run
from jcompress.traced import jaxprs


def run_packed(apply_fn: Callable[..., Any]) -> Callable[..., Any]:
  """Runs a model from its encoded tree: the dense network is never in memory.

  The model is traced once for each form of its arguments, and each leaf is
  decoded right before the operation that uses it, which waits for the one
  before. Casts and other elementwise changes of params go with them. A leaf
  that is used at several places is decoded at each. Of a large matrix by which
  few rows are multiplied some columns are dense at a time, else one leaf, two
  where an operation uses two, beside activations and small leaves (all of which
  together have an eighth of the entries of the largest). What loops and
  branches use is decoded as a whole before them; but a `scan` over the first
  axis of a `Stacked` or `Layered` leaf, with layers of one form, goes over the
  codes and decodes in its body.

  The values are those of `jax.jit(lambda e, *xs: apply_fn(decode(e), *xs))`:
  every operation is the same, in the same order, so that they agree bit for bit
  unless the compiler fuses operations or adds up products in another way, then
  within the rounding of the float type at each operation. Memory in a backward
  pass is not saved: a derivative by the inputs keeps the dense leaves.

  Args:
    apply_fn: `(params, *inputs) -> outputs`, any pytrees of arrays. Where a
      function with a derivative rule of its own uses params inside, the rule is
      lost.

  Returns:
    `(encoded, *inputs) -> outputs`, compiled, also inside `jit` and `vmap`. It
    raises a `ValueError` if no leaf is encoded. What `encoded.packed` returns
    takes 4 bits of memory for a code of 16 values.

  >>> import jax.numpy as jnp
  >>> from jcompress.encoded import Codebook
  >>> codes = jnp.array([[0, 1], [1, 1]], jnp.uint8)
  >>> tree = {'kernel': Codebook(jnp.array([0.5, 2.0]), codes)}
  >>> run_packed(lambda params, x: x @ params['kernel'])(tree, jnp.ones((1, 2)))
  Array([[2.5, 4. ]], dtype=float32)
  """
  if not callable(apply_fn):
    raise ValueError(
      f'apply_fn is of type {type(apply_fn).__name__}: pass a function '
      '(params, *inputs) -> outputs; what it returns takes the encoded tree.'
    )

  @jax.jit
  def compiled(tree, *inputs):
    leaves, structure = jax.tree.flatten(tree, is_leaf=encoded.is_encoded)
    leaves = [
      x if encoded.is_encoded(x) else encoded.as_it_is(x) for x in leaves
    ]
    forms = [jax.eval_shape(lambda x: x.decode(), x) for x in leaves]
    closed, out = jaxprs.trace(apply_fn, structure.unflatten(forms), *inputs)
    large = _large([math.prod(x.shape) for x in forms])
    params = list(map(Leaf, leaves, large))
    turns = Turns()
    outputs = run(closed, [*params, *jax.tree.leaves(inputs)], turns)
    return out.unflatten(turns.values(outputs))

  def from_packed(tree: Any, *inputs: Any) -> Any:
    encoded.encoded_leaves(tree)
    return compiled(tree, *inputs)

  return from_packed


def _large(sizes):
  """Which are worth waiting for; the others have an eighth of the largest."""
  large, total = [True] * len(sizes), 0
  for i in sorted(range(len(sizes)), key=lambda i: sizes[i]):
    total += sizes[i]
    large[i] = total > max(sizes) / 8
  return large
