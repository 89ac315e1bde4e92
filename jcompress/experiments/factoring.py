"""Runs factors in the network of a task, and again for its file."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

import jcompress as jc
from jcompress import tree
from jcompress.experiments import sources
from jcompress.experiments.networks import Variables
from jcompress.experiments.recipe import Change
from jcompress.experiments.task import Task
from jcompress.factor import small_layers
from jcompress.factor.factorize import Plan, factored_forms
from jcompress.factor.method import Method
from jcompress.factor.separable import as_matrix
from jcompress.traced.layers import Layer, layers

EXAMPLES = 8  # on which the small network is checked
Choose = Callable[[Task, Variables], Mapping[str, Method]]


def factorize(name: str, plan: Mapping[str, Method] | Choose) -> Change:
  """A stage that factors kernels; the task that comes back runs the factors.

  The results show how many are `factored`; in the report of the file the others
  stand by their old names.

  Args:
    name: of the stage.
    plan: the method of each kernel by a pattern of its path among the params,
      as of `jc.factorize`; or `(task, variables) -> plan`, such as `by_rule`
      and `within` give. Where it is empty the network is handed on whole.

  Raises:
    ValueError: in the stage, as of `jc.factorize`.
  """

  def change(task, variables, key):
    chosen = plan(task, variables) if callable(plan) else plan
    if not chosen:
      return task, variables
    paths = _by_path(chosen, variables)
    batch = sources.first(task.test, EXAMPLES)
    _, small = jc.factorize(task.predict, variables, paths, batch, key=key)
    small_task, _ = again(task, variables, record_of(task, paths))
    return small_task, small, {'factored': len(paths)}

  return Change(name, change)


def by_rule(
  rule: str | float, kind: str = 'tucker2', pattern: str = jc.KERNELS
) -> Choose:
  """Ranks of each layer by itself; layers where they do not pay stay dense.

  Args:
    rule: `'evbmf'`, or the share of the squared singular values that is kept,
      `0 .. 1`.
    kind: of convolutions that are wider than one: `'svd'`, `'separable'` or
      `'tucker2'`. All others are factored by SVD.
    pattern: of the kernels among the params.
  """

  def method_of(layer, kernel):
    is_wide = _is_wide(layer, kernel)
    if is_wide and kind == 'tucker2':
      return jc.tucker2(*jc.tucker2_ranks(kernel, rule))
    scheme = kind if is_wide else 'svd'
    if rule == 'evbmf':
      rank = max(1, jc.evbmf_rank(_matrix(layer, kernel, scheme)))
    else:
      rank = jc.energy_rank(_spectrum(layer, kernel, scheme), rule)
    return _two(scheme, rank)

  def choose(task, variables):
    found = _kernels(task, variables, pattern)
    plan = {q: method_of(layer, kernel) for q, (layer, kernel) in found.items()}
    return {q: m for q, m in plan.items() if _pays(m, found[q][0])}

  return choose


def within(
  share: float, kind: str = 'svd', pattern: str = jc.KERNELS
) -> Choose:
  """Ranks of all layers together, so that they keep a share of the numbers.

  Errors are relative to the norm of each kernel, see `allocate_ranks`.

  Args:
    share: of the numbers in these kernels, `0 .. 1`.
    kind: of convolutions that are wider than one: `'svd'` or `'separable'`.
    pattern: of the kernels among the params.
  """

  def choose(task, variables):
    found = _kernels(task, variables, pattern)
    schemes, spectra, costs, dense = {}, {}, {}, {}
    for path, (layer, kernel) in found.items():
      schemes[path] = kind if _is_wide(layer, kernel) else 'svd'
      values = _spectrum(layer, kernel, schemes[path])
      spectra[path] = values / max(np.linalg.norm(values), 1e-30)
      one = small_layers.fit(_two(schemes[path], 1), layer)
      costs[path] = one.cost(small_layers.shape_of(layer))
      dense[path] = kernel.size
    budget = int(share * sum(dense.values()))
    ranks = jc.allocate_ranks(spectra, costs, budget, dense=dense)
    return {q: _two(schemes[q], r) for q, r in ranks.items() if r is not None}

  return choose


def record_of(task: Task, plan: Mapping[str, Method]) -> dict[str, Any]:
  """What a file says of a factorization: plain values.

  Args:
    task: before it.
    plan: by paths among the variables.
  """
  records = {path: method.record() for path, method in plan.items()}
  return {'after': len(task.removed), 'plan': records}


def again(
  task: Task, forms: Variables, record: Mapping[str, Any]
) -> tuple[Task, Variables]:
  """Factors the network again, as the record of a file says.

  Args:
    task: of the network as it was.
    forms: its variables, or their shapes and dtypes.
    record: one of `task.factored` of the task that made the file.

  Returns:
    The task of the small network, and the shapes of its variables.

  Raises:
    ValueError: the network has no such layers.
  """
  batch = sources.first(task.test, EXAMPLES)
  key = jax.random.key(0)
  forms = jax.eval_shape(lambda v: v, forms)
  plan: Plan = {re.escape(q): m for q, m in record['plan'].items()}
  small = task._replace(
    predict=jc.factored(task.predict, plan, forms, batch),
    apply=jc.factored(task.apply, plan, forms, batch, key),
    factored=(*task.factored, dict(record)),
  )
  return small, factored_forms(task.predict, plan, forms, batch)


def _by_path(plan, variables):
  """The plan by paths among the variables."""
  params = variables['params']
  parts, _ = tree.split_all(list(plan), params)
  return {
    f'params/{path}': method
    for method, part in zip(plan.values(), parts, strict=True)
    for path in tree.paths(part)
  }


def _kernels(task, variables, pattern):
  """Layer and kernel, as it is factored, by path among the params."""
  batch = sources.first(task.test, EXAMPLES)
  values = tree.by_name(variables)
  found: dict[str, tuple[Layer, Any]] = {}
  for layer in layers(task.predict, variables, batch):
    room, _, path = layer.path.partition('/')
    is_ours = room == 'params' and tree.matches(pattern, path)
    is_dense = layer.groups == 1 and layer.kind != 'embed'
    if is_ours and is_dense and path not in found:
      kernel = small_layers.to_factor(layer, values[layer.path])
      found[path] = layer, kernel
  return found


def _is_wide(layer, kernel):
  return layer.kind == 'conv' and max(kernel.shape[:-2], default=1) > 1


def _two(scheme, rank):
  return jc.separable(rank) if scheme == 'separable' else jc.svd(rank)


def _spectrum(layer, kernel, scheme):
  axes = layer.in_axes if layer.kind == 'dense' else None
  return jc.spectrum(kernel, in_axes=axes, scheme=scheme)


def _matrix(layer, kernel, scheme):
  if scheme == 'separable':
    return as_matrix(kernel)
  if layer.kind == 'dense':
    return layer.matrix(kernel)[0]
  return kernel.reshape(-1, kernel.shape[-1])


def _pays(method, layer):
  method = small_layers.fit(method, layer)
  return method.pays(small_layers.shape_of(layer))
