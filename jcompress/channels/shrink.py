"""Shrinks a network, and checks that it still computes the same."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jcompress.channels.graph import ChannelGraph, Keep, Plan
from jcompress.channels.interpreter import evaluate
from jcompress.channels.removal import mask_channels, remove_channels
from jcompress.channels.sizes import Resizing, cut
from jcompress.channels.trace import channel_groups, tied_groups
from jcompress.traced.agreement import require_equal

SmallApply = Callable[..., Any]


def shrink(
  apply_fn: Callable[..., Any],
  params: Any,
  keep: Keep,
  *inputs: Any,
  tolerance: float | None = None,
  **options: Any,
) -> tuple[Any, SmallApply]:
  """Removes channels, and checks that the rest computes what it did.

  The small network is checked against the one whose channels are masked; that
  is the network that was trained or scored, if training ended with
  `mask_channels`.

  >>> apply_fn = lambda p, x: jnp.tanh(x @ p['w1']) @ p['w2']
  >>> params = {'w1': jnp.ones((3, 8)), 'w2': jnp.ones((8, 2))}
  >>> x = jnp.ones((1, 3))
  >>> small, small_apply = shrink(apply_fn, params, {'w1:1': [0, 2, 5]}, x)
  >>> small['w1'].shape, small['w2'].shape, small_apply(small, x).shape
  ((3, 3), (3, 2), (1, 2))

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    params: pytree of arrays.
    keep: the units to keep of each group that shrinks, by the names that
      `channel_groups` gives; see `ChannelGraph.plan`.
    *inputs: arrays on which it is checked.
    tolerance: largest difference of an output, relative to the largest entry of
      that output. Default: 1e-5, or 8 units in the last place in half
      precision.
    **options: of `channel_groups`.

  Returns:
    The smaller params, and `small_apply(params, *inputs)`, which computes the
    outputs from them. It traces anew for inputs of other shapes, and can be
    jitted; and differentiated, unless a function with a derivative rule of its
    own shrank, which is then refused.

  Raises:
    ValueError: the plan is wrong, see `ChannelGraph.plan`; the small network
      computes something else.
  """
  plan, small_apply = shrink_function(
    apply_fn, params, keep, *inputs, **options
  )
  small = remove_channels(params, plan)
  masked = jax.jit(apply_fn)(mask_channels(params, plan), *inputs)
  masked = cut_outputs(plan, masked)
  got = jax.jit(small_apply)(small, *inputs)
  require_equal(masked, got, tolerance, 'the masked network', '')
  return small, small_apply


def shrink_function(
  apply_fn: Callable[..., Any],
  params: Any,
  keep: Keep,
  *inputs: Any,
  **options: Any,
) -> tuple[Plan, SmallApply]:
  """The function that `shrink` gives, from shapes alone, without a check.

  Args:
    apply_fn: as of `shrink`.
    params: pytree of arrays, or of their shapes and dtypes.
    keep: as of `shrink`.
    *inputs: as of `shrink`, or their shapes and dtypes.
    **options: as of `shrink`.

  Returns:
    What is removed, and `small_apply`.

  Raises:
    ValueError: the plan is wrong, see `ChannelGraph.plan`.
  """
  plan = channel_groups(apply_fn, params, *inputs, **options).plan(keep)
  again = lambda graph: graph.plan(plan.keep)
  return plan, resized(
    apply_fn, params, plan, plan.keep, again, *inputs, **options
  )


def resized(
  apply_fn: Callable[..., Any],
  params: Any,
  plan: Resizing,
  names: Iterable[str],
  again: Callable[[ChannelGraph], Resizing],
  *inputs: Any,
  **options: Any,
) -> SmallApply:
  """The function of params of other sizes, for inputs of all shapes.

  Args:
    apply_fn: the model as it was.
    params: its params, or their shapes and dtypes.
    plan: of the sizes.
    names: of the groups of which it changes units.
    again: the same plan for the graph of inputs of other shapes.
    *inputs: with which the graph of the plan was traced.
    **options: of `channel_groups`.

  Raises:
    ValueError: of the function, a group is another one with such inputs.
  """
  forms = jax.eval_shape(lambda p: p, params)
  plans = {_form(inputs): plan}

  def apply(new_params, *xs):
    form = _form(xs)
    if form not in plans:
      shapes = jax.eval_shape(lambda *a: a, *xs)
      graph = tied_groups(apply_fn, forms, plan.graph.ties, *shapes, **options)
      _require_same(plan.graph, graph, names)
      plans[form] = again(graph)
    return evaluate(plans[form], new_params, *xs)

  return apply


def verify_rebuilt(
  apply_fn: Callable[..., Any],
  params: Any,
  plan: Plan,
  *inputs: Any,
  tolerance: float | None = None,
) -> None:
  """Checks a model that was built anew with smaller widths.

  What its code computes from a width, such as the scale of attention, is
  another number than in the trained model; no trace can tell. The outputs must
  be those of the traced computation on the same params.

  Args:
    apply_fn: of the new model, `(params, *inputs) -> outputs`.
    params: the smaller params.
    plan: from `ChannelGraph.plan`.
    *inputs: arrays of the shapes with which the graph was traced.
    tolerance: as of `shrink`.

  Raises:
    ValueError: the outputs differ. The notes of the groups are in the message.
  """
  groups = plan.graph.groups
  notes = [note for name in plan.keep for note in groups[name].notes]
  hint = f' Notes of the groups: {"; ".join(notes)}.' if notes else ''
  expected = jax.jit(partial(evaluate, plan))(params, *inputs)
  got = jax.jit(apply_fn)(params, *inputs)
  require_equal(expected, got, tolerance, 'the traced computation', hint)


def _form(xs):
  leaves, treedef = jax.tree.flatten(xs)
  dtype = lambda x: x.dtype if hasattr(x, 'dtype') else jnp.result_type(x)
  return treedef, tuple((tuple(np.shape(x)), str(dtype(x))) for x in leaves)


def _require_same(graph, other, names):
  for name in names:
    owned = graph.groups[name].owned
    found = other.groups.get(name)
    if found is None or not _same(found.owned, owned):
      raise ValueError(
        f'With inputs of these shapes the group {name!r} is another one: the '
        'model computes in another way. Give such inputs as it is changed.'
      )


def _same(one, other):
  both = one.keys() & other.keys()
  equal = all(np.array_equal(one[place], other[place]) for place in both)
  return one.keys() == other.keys() and equal


def cut_outputs(plan: Resizing, outputs: Any) -> Any:
  """What a network of other sizes must give, of the outputs as traced."""
  graph = plan.graph
  atoms = graph.closed.jaxpr.outvars
  return graph.out.unflatten(
    x if isinstance(v, Literal) else cut(plan, x, graph.frame.arrays[v])
    for v, x in zip(atoms, jax.tree.leaves(outputs), strict=True)
  )
