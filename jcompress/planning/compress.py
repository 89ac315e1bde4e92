"""A finished network to what ships, in one call."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jcompress.base import Compressor, require_compressor
from jcompress.code.container import pack
from jcompress.losses import relative_error
from jcompress.planning.plan import Plan
from jcompress.planning.planner import plan
from jcompress.planning.tune_values import tune_values
from jcompress.traced.kronecker import kronecker

_SPARE = 16  # bytes


def compress(
  params: Any,
  how: Compressor | Plan | None = None,
  *,
  apply: Callable[[Any, Any], Any] | None = None,
  batches: Sequence[Any] = (),
  moments: Mapping[str, Any] | None = None,
  steps: int = 0,
  **budget: Any,
) -> Any:
  """Encodes a network that is trained already; its weights are not trained on.

  With the network and some inputs, real or made up, a plan is for what it
  computes, and what is beside the codes is tuned:

      small = jc.compress(
        params, size=9_000, apply=apply, batches=[x], steps=200
      )

  Args:
    params: any tree of arrays.
    how: a compressor, which does what it does in its first step (a pruner with
      a schedule: what that says of step 0); a plan that was made before; or
      nothing, then one is made.
    apply: `(params, batch) -> outputs`, see `tune_values`.
    batches: a list of inputs. A plan gets moments from them, see `kronecker`,
      and as its metric the relative error of the outputs on the first, unless
      others are given.
    moments: for plans, see `plan`.
    steps: of `tune_values`, on these batches; 0 for none.
    **budget: of `plan`, one of `size`, `bits` and `error` among it.

  Returns:
    The encoded tree: `pack` writes it, `decode` gives params.

  Raises:
    ValueError: no way to compress, or two; steps without a network and inputs,
      or one of these alone; what `plan`, `tune_values`, or the compressor's
      `init` and `encode` refuse.

  >>> import jax, jcompress as jc
  >>> params = {'kernel': jax.random.normal(jax.random.key(0), (64, 64))}
  >>> small = compress(params, bits=4)
  >>> len(jc.pack(small)) <= 64 * 64 * 4 / 8
  True
  """
  if (apply is None) != (not batches) or (steps and apply is None):
    raise ValueError(
      f'apply is {apply}, there are {len(batches)} batches and {steps=}: give '
      'both the network and a list of inputs, or neither and no steps.'
    )
  if how is None and apply is not None:
    moments = moments or kronecker(apply, params, batches)
    budget = {'metric': _error(apply, params, batches[0]), **budget}
  size = budget.get('size')
  while True:
    encoded = _encoded(params, how, moments, budget)
    if not steps or apply is None:
      return encoded
    tuned = tune_values(apply, encoded, params, batches, steps=steps)
    over = 0 if size is None else len(pack(tuned)) - size
    if over <= 0:
      return tuned
    budget['size'] -= over + _SPARE  # what is tuned is less alike


def _encoded(params, how, moments, budget):
  if how is None:
    return plan(params, moments=moments, **budget).apply(params, moments)
  if budget:
    raise ValueError(
      f'Both {type(how).__name__} and {", ".join(budget)} were given; a budget '
      'is for a plan that is to be made.'
    )
  if isinstance(how, Plan):
    return how.apply(params, moments)
  require_compressor(how, 'compress')
  return how.encode(*how.init(params))


def _error(apply, params, batch):
  """How far outputs of other params are from those of the params."""
  apply = jax.jit(apply)
  wanted = apply(params, batch)
  return lambda found: float(relative_error(apply(found, batch), wanted))
