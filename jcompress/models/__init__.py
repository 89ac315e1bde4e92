"""Models in Flax linen, by the names that files and configs carry."""

from typing import Any

import flax.linen as nn

from jcompress.models.lenet import LeNet5 as LeNet5
from jcompress.models.lenet import LeNet300100 as LeNet300100


def build(name: str, classes: int = 10, dtype: Any = None) -> nn.Module:
  """Builds a bundled model by name.

  Args:
    name: 'lenet_300_100' or 'lenet5'.
    classes: number of outputs.
    dtype: in which it computes; that of the params if not given.

  Raises:
    ValueError: there is no model of that name.
  """
  models = {'lenet_300_100': LeNet300100, 'lenet5': LeNet5}
  if name not in models:
    raise ValueError(f'No model {name!r}; there are {sorted(models)}.')
  return models[name](classes=classes, dtype=dtype)
