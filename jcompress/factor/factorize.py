"""Another network, that runs the factors of kernels as layers of their own."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.factor import small_layers, uses
from jcompress.factor.method import Method
from jcompress.factor.methods import method_of
from jcompress.traced.agreement import require_equal
from jcompress.traced.layers import evaluate, layers, only

SmallApply = Callable[..., Any]
Plan = Mapping[str, Method | Mapping[str, Any]]


def factorize(
  apply_fn: Callable[..., Any],
  params: Any,
  plan: Plan,
  *inputs: Any,
  must_pay: bool = True,
  tolerance: float | None = None,
  key: jax.Array | None = None,
  moments: Mapping[str, Float[Array, 'groups inputs inputs']] | None = None,
) -> tuple[SmallApply, Any]:
  """Factors kernels, and runs the factors in place of their layers.

  The small network is checked against the one with the multiplied-out kernels.
  Where a kernel stood is a dict of the kernels of its stages, so that
  `fc1/kernel` becomes `fc1/kernel/first/kernel` and `fc1/kernel/last/kernel`:
  every compressor of kernels applies to the factors. A convolution is strided,
  padded and dilated along each axis by the stage that is wide along it; the
  bias stays behind the last one.

  >>> from jcompress.factor.methods import svd
  >>> apply_fn = lambda p, x: jnp.tanh(x @ p['w'])
  >>> params, x = {'w': jnp.ones((6, 8))}, jnp.ones((1, 6))
  >>> small_apply, small = factorize(apply_fn, params, {'w': svd(1)}, x)
  >>> jax.tree.map(jnp.shape, small)['w']['first'], small_apply(small, x).shape
  ({'kernel': (6, 1)}, (1, 8))

  Args:
    apply_fn: `(params, *inputs) -> outputs`.
    params: pytree of arrays.
    plan: the method of each kernel by a pattern of its path, the first one that
      matches: `{'conv2/kernel': tucker2(16, 24), 'fc.*/kernel': svd(64)}`. A
      dense layer is folded by what it sums over.
    *inputs: arrays on which it is checked.
    must_pay: refuses factors with as many numbers as their kernel, or more.
    tolerance: largest difference of an output, relative to its largest entry.
      Default: 1e-5, or 8 units in the last place in half precision.
    key: of methods with random starts.
    moments: of the inputs of kernels by path, as `curvature.input_hessian` has
      them: factors by `svd` then answer best to such inputs. Kernels that have
      none here are nearest in their weights.

  Returns:
    `small_apply(small_params, *inputs)`, and `small_params`. The function
    traces the model anew for each call: `jit` it. It can be differentiated,
    unless a factored kernel is used inside a function with a derivative rule
    of its own, which is then refused.

  Raises:
    ValueError: a layer cannot be factored so, its kernel is used in another
      way beside, or the factors do not pay; the small network computes
      something else; moments of no kernel, of another size, or of a method that
      has no use for them.
  """
  small_apply, chosen = _network(apply_fn, plan, params, inputs)
  if must_pay:
    _require_gain(chosen)
  names, leaves = tree.paths(params), jax.tree.leaves(params)
  moments = {} if moments is None else moments
  _require_kernels(moments, names)
  small, dense = [], []
  for path, leaf in zip(names, leaves, strict=True):
    if path not in chosen:
      small.append(leaf)
      dense.append(leaf)
      continue
    method, layer = chosen[path]
    kernel = small_layers.to_factor(layer, leaf)
    covariance = None
    if path in moments:
      covariance = small_layers.covariance(layer, moments[path])
    factors = method.factors(kernel, key=key, covariance=covariance)
    product = small_layers.from_factors(layer, method.product(factors))
    small.append(_named(method, layer, factors))
    dense.append(product.astype(leaf.dtype))
  treedef = jax.tree.structure(params)
  small_params = jax.tree.unflatten(treedef, small)
  dense_params = jax.tree.unflatten(treedef, dense)
  expected = jax.jit(apply_fn)(dense_params, *inputs)
  got = jax.jit(small_apply)(small_params, *inputs)
  reference = 'the network with multiplied-out kernels'
  require_equal(expected, got, tolerance, reference)
  return small_apply, small_params


def factored(
  apply_fn: Callable[..., Any], plan: Plan, params: Any, *inputs: Any
) -> SmallApply:
  """The function that `factorize` gives, from shapes alone, without a check.

  Args:
    apply_fn: as of `factorize`.
    plan: as of `factorize`; or of plain values, `{pattern: method.record()}`,
      as the metadata of a file have it.
    params: of the dense network, or their shapes and dtypes.
    *inputs: as of `factorize`, or their shapes and dtypes.

  Raises:
    ValueError: as of `factorize`, or a plan that is none.
  """
  return _network(apply_fn, plan, params, inputs)[0]


def factored_forms(
  apply_fn: Callable[..., Any], plan: Plan, params: Any, *inputs: Any
) -> Any:
  """The shapes and dtypes of the params that `factored` takes; see there."""
  _, chosen = _network(apply_fn, plan, params, inputs)
  forms = []
  leaves = jax.tree.leaves(jax.eval_shape(lambda p: p, params))
  for path, form in zip(tree.paths(params), leaves, strict=True):
    if path in chosen:
      method, layer = chosen[path]
      shapes = [s.shape for s in method.stages(small_layers.shape_of(layer))]
      factors = [jax.ShapeDtypeStruct(s, form.dtype) for s in shapes]
      form = _named(method, layer, factors)
    forms.append(form)
  return jax.tree.unflatten(jax.tree.structure(params), forms)


def _network(apply_fn, plan, params, inputs):
  """The small network, and method and layer of each kernel, by path."""
  forms = jax.eval_shape(lambda p: p, params)
  methods = _methods(plan, forms)
  found = layers(apply_fn, forms, *inputs)
  uses_of = {q: [x for x in found if x.path == q] for q in methods}
  single = only([x for xs in uses_of.values() for x in xs[:1]], list(methods))
  chosen = {
    path: (small_layers.fit(methods[path], layer), layer)
    for path, layer in single.items()
  }
  for path in chosen:
    uses.require_equal(uses_of[path])
  treedef, names = jax.tree.structure(forms), tree.paths(forms)
  leaves = jax.tree.leaves(forms)

  def small_apply(small_params, *xs):
    parts = treedef.flatten_up_to(small_params)
    small = dict(zip(names, parts, strict=True))
    # The model is traced with shapes; nothing reads what stands here.
    full = [
      jnp.full(form.shape, jnp.nan, form.dtype) if path in chosen else part
      for path, form, part in zip(names, leaves, parts, strict=True)
    ]

    def call(layer, x, kernel):
      del kernel
      method = chosen[layer.path][0]
      shape = small_layers.shape_of(layer)
      part = small[layer.path]
      factors = [part[s.name]['kernel'] for s in method.stages(shape)]
      return small_layers.run(method, layer, x, factors)

    params = jax.tree.unflatten(treedef, full)
    return evaluate(apply_fn, params, *xs, call=call, paths=chosen)

  if uses.lose_rules(apply_fn, forms, chosen, *inputs):
    small_apply = uses.without_gradient(small_apply)
  return small_apply, chosen


def _methods(plan, forms):
  """The method of each path."""
  parts, _ = tree.split_all(list(plan), forms)
  made = {}
  for value, part in zip(plan.values(), parts, strict=True):
    method = value if isinstance(value, Method) else method_of(value)
    made |= dict.fromkeys(tree.paths(part), method)
  return made


def _named(method, layer, factors):
  shape = small_layers.shape_of(layer)
  pairs = zip(method.stages(shape), factors, strict=True)
  return {stage.name: {'kernel': factor} for stage, factor in pairs}


def _require_kernels(moments, names):
  if unknown := sorted(set(moments) - set(names)):
    raise ValueError(
      f'There are moments of {unknown[0]}, and no such kernel; the params have '
      f'{", ".join(names)}.'
    )


def _require_gain(chosen):
  for path, (method, layer) in chosen.items():
    shape = small_layers.shape_of(layer)
    if not method.pays(shape):
      raise ValueError(
        f'{method.name}{method.ranks} of {path} has {method.cost(shape)} '
        f'numbers, and the kernel of shape {shape} no more: it does not pay. '
        'Leave it out of the pattern, take smaller ranks, or must_pay=False.'
      )
