import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from jcompress import models
from jcompress.experiments import data, evaluation, networks, sources, tasks
from jcompress.experiments.sources import WHOLE
from jcompress.experiments.task import checked
from jcompress.experiments.text import encode_text

KEY = jax.random.key(0)
BERT = dict(layers=1, heads=2, width=8, hidden=16, positions=16)


def logits_of(classes):
  return networks.plain(
    lambda key: jnp.zeros(()),
    lambda params, x: jax.nn.one_hot(x[:, 0, 0, 0], classes),
    lambda batch: (batch['image'],),
  )


def test_errors_and_losses_are_summed_over_the_test_set():
  labels = np.array([0, 1, 2, 0], np.int32)
  images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
  dataset = data.Dataset('x', images, labels, images, labels)
  task = tasks.image_classification(logits_of(4), dataset, 2)
  found = evaluation.evaluate(task, task.init(KEY))
  assert found['error'] == 25
  right, wrong = (np.log(np.e + 3) - x for x in (1, 0))
  np.testing.assert_allclose(found['loss'], (3 * right + wrong) / 4, rtol=1e-5)


def test_what_is_said_of_images():
  scale = 0.5, [0.25]
  net = models.LeNet300100(classes=3, features=(8, 4))
  task = tasks.image_classification(net, tiny.dataset(), 16, scale=scale)
  assert task.about == {
    'task': 'image_classification',
    'data': 'tiny',
    'scale': [0.5, [0.25]],
  }
  assert task.model.name == 'lenet_300_100'
  batch = task.train.get(0, 0, WHOLE)
  direct = net.apply(task.init(KEY), (batch['image'] / 255 - 0.5) / 0.25)
  got = task.predict(task.init(KEY), batch)
  np.testing.assert_allclose(got, direct, rtol=1e-4, atol=1e-5)


def test_images_are_augmented_in_training_alone():
  black = lambda key, images: images * 0
  plain, changed = (
    tasks.image_classification(tiny.Net(), tiny.dataset(), 16, augment=a)
    for a in (None, black)
  )
  variables, batch = plain.init(KEY), plain.train.get(0, 0, WHOLE)
  outputs, _ = changed.apply(variables, batch, KEY)
  np.testing.assert_allclose(outputs, outputs[:1].repeat(16, 0), atol=2)
  assert (plain.apply(variables, batch, KEY)[0] != outputs).any()
  np.testing.assert_array_equal(
    plain.predict(variables, batch), changed.predict(variables, batch)
  )


def test_pixels_that_are_floats_stay_as_they_are():
  x = np.float32([0.5, -2.0])
  np.testing.assert_array_equal(tasks.pixels(x), x)


def test_texts_end_where_the_zeros_begin():
  rows = np.array([[3, 4, 0, 0], [5, 6, 7, 8]], np.int32)
  labels = np.array([0, 2], np.int32)
  dataset = data.Dataset('x', rows, labels, rows, labels)
  model = models.build('bert_classifier', classes=3, vocabulary=9, **BERT)
  task = checked(tasks.text_classification(model, dataset, 2))
  variables = task.init(KEY)
  short = task.predict(variables, {'tokens': rows[:1, :2]})
  long = task.predict(variables, {'tokens': rows[:1]})
  np.testing.assert_allclose(short, long, rtol=1e-4, atol=1e-6)
  assert task.about == {'task': 'text_classification', 'data': 'x'}


def test_the_next_character_is_the_target():
  found = encode_text('abcd' * 40, 0.2, 'book.txt')
  lstm = models.build('character_lstm', vocabulary=4, features=6)
  task = checked(tasks.next_token(lstm, found, 4, 8))
  batch = task.train.get(0, 0, WHOLE)
  np.testing.assert_array_equal((batch['tokens'] + 1) % 4, batch['targets'])
  outputs = task.predict(task.init(KEY), batch)
  found_loss, metrics = task.loss(outputs, batch)
  np.testing.assert_allclose(found_loss, np.log(4), rtol=0.2)
  assert set(metrics) == {'error'}
  assert task.about == {
    'task': 'next_token',
    'data': 'book.txt',
    'length': 8,
    'alphabet': 'abcd',
  }


def test_only_hidden_tokens_count():
  found = encode_text('abcd' * 40, 0.2, 'book.txt')
  model = models.build('bert_masked', vocabulary=5, **BERT)
  task = checked(tasks.masked_tokens(model, found, 4, 8, share=0.5))
  batch = task.train.get(0, 0, WHOLE)
  right = 30 * jax.nn.one_hot(batch['targets'], 5)
  shown = batch['weights'] == 0
  outputs = jnp.where(shown[..., None], -right, right)
  metrics = task.metrics(outputs, batch)
  assert metrics['error'][0] == 0 < metrics['error'][1]
  assert task.metrics(-outputs, batch)['error'][0] == 100 * (~shown).sum()
  assert task.about['hidden'] == 0.5


@pytest.mark.parametrize('name', ['error', 'loss'])
def test_metrics_of_parts_add_up(name):
  task = tiny.task()
  variables = task.init(KEY)
  whole = evaluation.evaluate(task, variables)[name]
  arrays = task.test.get(0, 0, WHOLE)
  parts = sources.in_order(arrays, 5)
  np.testing.assert_allclose(
    evaluation.evaluate(task, variables, parts)[name], whole, rtol=1e-5
  )
