"""Ranks of the layers of a task: each by itself, or all under a budget."""

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Float

import jcompress as jc
from jcompress import tree
from jcompress.experiments import sources
from jcompress.experiments.networks import Variables
from jcompress.experiments.task import Task
from jcompress.factor import small_layers
from jcompress.factor.method import Method
from jcompress.factor.separable import as_matrix
from jcompress.traced.layers import Layer, layers

EXAMPLES = 8  # of which layers are traced, and small networks checked
Choose = Callable[[Task, Variables], Mapping[str, Method]]


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


def of_share(
  share: float,
  kind: str = 'tucker2',
  pattern: str = jc.KERNELS,
  *,
  multiple: int = 1,
) -> Choose:
  """The largest ranks with which each layer keeps a share of its numbers.

  Layers where a rank of one has more stay dense. Of a convolution at stride 1
  that is its share of the multiply-accumulates, too.

  Args:
    share: `0 .. 1`.
    kind: of convolutions that are wider than one: `'svd'`, `'separable'`,
      `'tucker2'`, whose ranks are as the channels, or `'canonical'`. All others
      are factored by SVD.
    pattern: of the kernels among the params.
    multiple: to the nearest of which larger ranks are rounded, such as 16:
      channels in whole vectors are faster. The share is then met about.

  Raises:
    ValueError: a multiple below one.
  """
  if multiple < 1:
    raise ValueError(f'multiple is {multiple}; ranks need one of 1 or more.')

  def largest(layer, kernel):
    scheme = kind if _is_wide(layer, kernel) else 'svd'
    found = None
    for method in _ladder(scheme, layer, kernel):
      if method.cost(small_layers.shape_of(layer)) > share * kernel.size:
        break
      found = method
    return found and _rounded(found, multiple)

  def choose(task, variables):
    found = _kernels(task, variables, pattern)
    plan = {path: largest(*pair) for path, pair in found.items()}
    return {path: method for path, method in plan.items() if method}

  return choose


def within(
  share: float,
  kind: str = 'svd',
  pattern: str = jc.KERNELS,
  *,
  examples: int = 0,
) -> Choose:
  """Ranks of all layers together, so that they keep a share of the numbers.

  Errors are relative to the norm of each kernel, see `allocate_ranks`, or to
  that of each layer's responses.

  Args:
    share: of the numbers in these kernels, `0 .. 1`.
    kind: of convolutions that are wider than one: `'svd'` or `'separable'`.
    pattern: of the kernels among the params.
    examples: of the training set whose responses count, of the kind `'svd'`; 0
      for the kernels.

  Raises:
    ValueError: examples for another kind.
  """
  if examples and kind != 'svd':
    raise ValueError(
      f'{examples} examples for the kind {kind!r}; only svd answers to inputs.'
    )

  def choose(task, variables):
    found = _kernels(task, variables, pattern)
    names = [f'params/{path}' for path in found]
    moments = input_moments(task, variables, names, examples)
    schemes, spectra, costs, dense = {}, {}, {}, {}
    for path, (layer, kernel) in found.items():
      schemes[path] = kind if _is_wide(layer, kernel) else 'svd'
      known = moments.get(f'params/{path}')
      values = _spectrum(layer, kernel, schemes[path], known)
      spectra[path] = values / max(np.linalg.norm(values), 1e-30)
      one = small_layers.fit(_two(schemes[path], 1), layer)
      costs[path] = one.cost(small_layers.shape_of(layer))
      dense[path] = kernel.size
    budget = int(share * sum(dense.values()))
    ranks = jc.allocate_ranks(spectra, costs, budget, dense=dense)
    return {q: _two(schemes[q], r) for q, r in ranks.items() if r is not None}

  return choose


def input_moments(
  task: Task, variables: Variables, paths: Collection[str], examples: int
) -> dict[str, Float[Array, '1 inputs inputs']]:
  """Second moments of the inputs of kernels, over the training set.

  Args:
    task: whose network `predict` is.
    variables: of it.
    paths: of the kernels among the variables.
    examples: the first ones of the training set; 0 for no moments at all.
  """
  pattern = '|'.join(map(re.escape, paths))
  if not examples or not pattern:
    return {}
  batch = sources.first(task.train, examples)
  return jc.curvature.input_hessian(
    task.predict, variables, [batch], pattern=pattern
  )


def _rounded(method, multiple):
  near = lambda rank: max(round(rank / multiple), 1) * multiple
  ranks = tuple(near(r) if r > multiple else r for r in method.ranks)
  return dataclasses.replace(method, ranks=ranks)


def _ladder(scheme, layer, kernel):
  """Methods of growing ranks."""
  if scheme == 'tucker2':
    n_in, n_out = kernel.shape[-2:]
    for a in range(1, n_in + 1):
      yield jc.tucker2(a, max(1, round(a * n_out / n_in)))
  elif scheme == 'canonical':
    for rank in range(1, kernel.size):
      yield jc.canonical(rank)
  else:
    most = min(_matrix(layer, kernel, scheme).shape)
    for rank in range(1, most + 1):
      yield _two(scheme, rank)


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
  if not found:
    paths = tree.paths(variables['params'])
    raise ValueError(
      f'Pattern {pattern!r} matches no kernel of a layer without groups; the '
      f'params are {", ".join(paths)}.'
    )
  return found


def _is_wide(layer, kernel):
  return layer.kind == 'conv' and max(kernel.shape[:-2], default=1) > 1


def _two(scheme, rank):
  return jc.separable(rank) if scheme == 'separable' else jc.svd(rank)


def _spectrum(layer, kernel, scheme, moments=None):
  axes = layer.in_axes if layer.kind == 'dense' else None
  if moments is not None and scheme == 'svd':
    moments = small_layers.covariance(layer, moments)
  return jc.spectrum(kernel, covariance=moments, in_axes=axes, scheme=scheme)


def _matrix(layer, kernel, scheme):
  if scheme == 'separable':
    return as_matrix(kernel)
  if layer.kind == 'dense':
    return layer.matrix(kernel)[0]
  return kernel.reshape(-1, kernel.shape[-1])


def _pays(method, layer):
  method = small_layers.fit(method, layer)
  return method.pays(small_layers.shape_of(layer))
