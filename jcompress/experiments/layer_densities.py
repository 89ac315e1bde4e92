"""Networks of which a recipe says how much of each layer is left."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import ml_collections
import optax

import jcompress as jc
from jcompress.experiments.recipe import Start

Densities: TypeAlias = Mapping[str, float] | ml_collections.ConfigDict


def by_layer(
  densities: Densities, method: Callable[[float], jc.Compressor]
) -> jc.Compressor:
  """A compressor of the kernel of each layer, by its density.

  Args:
    densities: of layers by name, fractions of their kernels, `0 .. 1`.
    method: `density -> compressor`, such as
      `lambda d: jc.magnitude_prune(1 - d)`.
  """
  return jc.partition(
    *((f'{layer}/kernel', method(d)) for layer, d in densities.items())
  )


def rising(
  densities: Densities,
  start: Start,
  method: Callable[[optax.Schedule], jc.Compressor],
) -> jc.Compressor:
  """The same, of methods whose sparsity rises in the first half of a stage.

  Args:
    densities: of layers by name, fractions of their kernels, `0 .. 1`.
    start: of the stage.
    method: `schedule of the sparsity -> compressor`, such as
      `lambda s: jc.magnitude_prune(s, every=20)`.
  """
  return by_layer(densities, lambda d: method(start.rising_sparsity(1 - d)))


def of_all(densities: Densities, params: Any) -> float:
  """The density of the kernels of all layers together.

  Args:
    densities: of layers by name, fractions of their kernels, `0 .. 1`.
    params: `{layer: {'kernel': array}}`, and whatever else.

  >>> import numpy as np
  >>> kernel = lambda *shape: {'kernel': np.zeros(shape)}
  >>> of_all({'a': 0.1, 'b': 0.5}, {'a': kernel(6, 5), 'b': kernel(5, 2)})
  0.2
  """
  sizes = {layer: params[layer]['kernel'].size for layer in densities}
  kept = sum(sizes[layer] * d for layer, d in densities.items())
  return kept / sum(sizes.values())
