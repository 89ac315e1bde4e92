"""The task of most recipes: the images of a config, by a bundled model."""

from collections.abc import Callable
from typing import Any

import jax

from jcompress import models
from jcompress.experiments import data, tasks
from jcompress.experiments.task import Task


def image_task(
  config: Any,
  model: str,
  *,
  augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
  **options: Any,
) -> Task:
  """Classes of the images that a config names, as many as these have.

  Args:
    config: see `recipe.defaults`: its data and the size of its batches.
    model: a name of `models.build`.
    augment: see `tasks.image_classification`.
    **options: of the model.

  Raises:
    ValueError: see `data.of` and `models.build`.
  """
  dataset = data.of(config)
  network = models.build(model, classes=dataset.classes, **options)
  return tasks.image_classification(
    network, dataset, config.batch_size, augment=augment
  )
