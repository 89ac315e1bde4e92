import pytest
import tiny

from jcompress import models
from jcompress.experiments import task as tasks_lib
from jcompress.experiments import tasks


def test_a_task_that_fits_comes_back():
  task = tiny.task()
  assert tasks_lib.checked(task) is task


def test_a_model_that_does_not_take_the_data_is_named_with_its_shapes():
  task = tasks.image_classification(models.VGG16(), tiny.dataset(), 16)
  message = r'model vgg16 and the data tiny .*\[16, 9, 4, 1\].* Images of 9x4'
  with pytest.raises(ValueError, match=message):
    tasks_lib.checked(task)


def test_a_loss_that_does_not_take_the_outputs():
  task = tiny.task()._replace(loss=lambda outputs, batch: batch['target'])
  with pytest.raises(ValueError, match="model of the task .* 'target'"):
    tasks_lib.checked(task)
