import jax
import jax.numpy as jnp
import numpy as np
import tiny

from jcompress.experiments import changes, tasks
from jcompress.experiments.data import Dataset
from jcompress.experiments.recipe import Start
from jcompress.experiments.sources import WHOLE
from jcompress.experiments.turned import turned

KEY = jax.random.key(0)


def test_statistics_are_those_of_the_training_examples():
  task = tiny.task()
  variables = task.init(KEY)
  same, found = changes.recalibrate(examples=48).change(task, variables, KEY)
  assert same is task
  images = np.concatenate(
    [task.train.get(0, i, WHOLE)['image'] for i in range(3)]
  )
  layer = variables['params']['fc1']
  hidden = images.reshape(48, -1) / 255 @ layer['kernel'] + layer['bias']
  np.testing.assert_allclose(
    found['batch_stats']['norm']['mean'], hidden.mean(0), rtol=1e-3, atol=1e-4
  )


def test_rewinding_keeps_what_was_pruned():
  task, variables = tiny.task(), {'params': {'w': jnp.array([1.0, 2, 3])}}
  _, kept = changes.remember().change(task, variables, KEY)
  kept = kept | {'params': {'w': jnp.array([0.0, 5, 6])}}
  _, found = changes.rewind().change(task, kept, KEY)
  assert found.keys() == {'params'}
  np.testing.assert_array_equal(found['params']['w'], [0, 2, 3])


def test_masks_are_of_the_kernels_alone():
  params = {
    'bias': jnp.zeros(2),
    'fc': {'kernel': jnp.array([0, 2.0])},
  }
  masks = changes.nonzero(Start(tiny.task(), {'params': params}, 1))
  np.testing.assert_array_equal(masks['fc']['kernel'], [False, True])
  assert masks['bias'] is None


def test_errors_on_turned_images_are_those_of_the_turned_set():
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (40, 6, 6, 1), np.uint8)
  labels = (images[:, 0, 0, 0] > 127).astype(np.int32)
  dataset = Dataset('corners', images, labels, images, labels)
  # Bytes above 127 are of class 1, by the first pixel alone.
  corner = lambda variables, batch: jax.nn.one_hot(
    (batch['image'][:, 0, 0, 0] > 127).astype(jnp.int32), 2
  )
  task = tasks.image_classification(tiny.Net(), dataset, 8)
  task = task._replace(predict=corner)
  same, variables, found = changes.turned_errors().change(task, {}, KEY)
  assert same is task and variables == {}
  for kind, error in found.items():
    guess = turned(images, kind)[:, 0, 0, 0] > 127
    assert error == 100 * np.mean(guess != labels)
  assert found.keys() == {'quarters', 'angles'} and min(found.values()) > 0
