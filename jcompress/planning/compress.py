"""A finished network to what ships, in one call."""

from collections.abc import Mapping
from typing import Any

from jcompress.base import Compressor, require_compressor
from jcompress.planning.plan import Plan
from jcompress.planning.planner import plan


def compress(
  params: Any,
  how: Compressor | Plan | None = None,
  *,
  moments: Mapping[str, Any] | None = None,
  **budget: Any,
) -> Any:
  """Encodes a network that is trained already; nothing is trained.

  Args:
    params: any tree of arrays.
    how: a compressor, which does what it does in its first step (a pruner with
      a schedule: what that says of step 0); a plan that was made before; or
      nothing, then one is made.
    moments: of the inputs of kernels, for plans, see `plan`.
    **budget: of `plan`, one of `size`, `bits` and `error` among it.

  Returns:
    The encoded tree: `pack` writes it, `decode` gives params.

  Raises:
    ValueError: no way to compress, or two; what `plan` or the compressor's
      `init` and `encode` refuse.

  >>> import jax, jcompress as jc
  >>> params = {'kernel': jax.random.normal(jax.random.key(0), (64, 64))}
  >>> small = compress(params, bits=4)
  >>> len(jc.pack(small)) <= 64 * 64 * 4 / 8
  True
  """
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
