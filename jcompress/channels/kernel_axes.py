"""Along which axes of a kernel its outputs lie, and along which its inputs."""

import jax
from jax.extend.core import jaxpr_as_fun

from jcompress.channels.graph import ChannelGraph
from jcompress.channels.groups import kernel_outputs
from jcompress.traced import layers


def output_axes(graph: ChannelGraph) -> dict[str, tuple[int, ...]]:
  """The axes of each kernel and table that become axes of an output.

  Kernels that are flipped or transposed before they are used are among them.
  Leaves that multiply with nothing, such as biases, are not; nor are kernels
  that are stacked for a loop.

  Args:
    graph: from `channel_groups`.

  Returns:
    By the paths of the leaves, in the order in which they are used.
  """
  known = kernel_outputs(graph.analysis, graph.leaves)
  grouped = {path for g in graph.groups.values() for path, _ in g.places}
  is_open = lambda p: p not in known and len(graph.leaves[p].shape) > 1
  if not any(map(is_open, grouped)):
    return known
  names = list(graph.leaves)
  forms = [
    jax.ShapeDtypeStruct(a.shape, a.dtype) for a in graph.closed.in_avals
  ]
  leaves, inputs = forms[: len(names)], forms[len(names) :]
  run = lambda leaves, *xs: jaxpr_as_fun(graph.closed)(*leaves, *xs)
  found = layers.layers(run, leaves, *inputs)
  in_turn = {names[int(layer.path)]: layer.out_axes for layer in found}
  return {**in_turn, **known}
