"""Standard convolutions of a trained network become depthwise-separable."""

from collections.abc import Callable
from typing import Any

from jcompress import tree
from jcompress.factor import small_layers
from jcompress.factor.factorize import SmallApply, factorize
from jcompress.factor.method import Method
from jcompress.factor.methods import depthwise
from jcompress.traced.layers import layers


def replace_convolutions(
  apply_fn: Callable[..., Any],
  params: Any,
  *inputs: Any,
  pattern: str = tree.KERNELS,
  tolerance: float | None = None,
) -> tuple[SmallApply, Any]:
  """Puts a depthwise-separable layer in the place of each convolution.

  Its start is the one nearest to the trained kernel, see `depthwise_factors`.
  Half of the energy and more is lost: train on, best against the outputs of
  the network as it was.

  Convolutions of one place or with groups, layers where it does not pay, and
  dense ones stay.

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    params: pytree of arrays.
    *inputs: as of `factorize`.
    pattern: of the kernels that are replaced; leave out the first layer, which
      has few inputs.
    tolerance: as of `factorize`.

  Returns:
    `small_apply(small_params, *inputs)`, and `small_params`, where kernels
    became `{'depthwise': {'kernel': ...}, 'pointwise': {'kernel': ...}}`.

  Raises:
    ValueError: no kernel of the pattern can be replaced; as of `factorize`.
  """
  plan = separable_plan(apply_fn, params, *inputs, pattern=pattern)
  if not plan:
    raise ValueError(
      f'No kernel of the pattern {pattern!r} is of a convolution that would be '
      f'smaller; the kernels are {", ".join(tree.paths(params))}.'
    )
  return factorize(apply_fn, params, plan, *inputs, tolerance=tolerance)


def separable_plan(
  apply_fn: Callable[..., Any],
  params: Any,
  *inputs: Any,
  pattern: str = tree.KERNELS,
) -> dict[str, Method]:
  """The kernels that `replace_convolutions` replaces, with their method.

  Args:
    apply_fn: as of `replace_convolutions`.
    params: or their shapes and dtypes.
    *inputs: or their shapes and dtypes.
    pattern: as of `replace_convolutions`.
  """
  method, plan = depthwise(), {}
  for layer in layers(apply_fn, params, *inputs):
    shape = small_layers.shape_of(layer)
    is_wide = layer.kind == 'conv' and max(shape[:-2], default=1) > 1
    fits = is_wide and len(shape) == 4 and layer.groups == 1
    if fits and tree.matches(pattern, layer.path) and method.pays(shape):
      plan[layer.path] = method
  return plan
