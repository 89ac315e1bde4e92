import numpy as np
import pytest

from jcompress.experiments import augment, recipe, sources
from jcompress.experiments.image_task import image_task


def test_classes_and_batches_are_those_of_the_config():
  config = recipe.defaults(examples=64, batch_size=16)
  task = image_task(config, 'lenet_300_100', features=(7, 5))
  assert (task.train.size, task.train.steps) == (16, 4)
  assert task.model.name == 'lenet_300_100'
  assert task.model.options == {'features': [7, 5]}
  assert task.seen is None
  shifted = image_task(config, 'lenet5', augment=augment.shifted(2))
  batch = sources.first(shifted.train, 2)
  assert shifted.seen is not None and np.shape(batch['image']) == (2, 28, 28, 1)


def test_what_is_not_known_is_refused():
  with pytest.raises(ValueError, match='lenet_6'):
    image_task(recipe.defaults(examples=64), 'lenet_6')
