import jax
import numpy as np
import pytest
import tiny

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, files, removal, tasks, text
from jcompress.experiments.sources import WHOLE

KEY = jax.random.key(0)


def arrays(tmp_path):
  found = tiny.dataset()
  path = tmp_path / 'own.npz'
  np.savez(
    path,
    x_train=found.train_inputs,
    y_train=found.train_labels,
    x_test=found.test_inputs,
    y_test=found.test_labels,
  )
  return found._replace(name=str(path))


def again(task, tmp_path, variables):
  """The task that its file describes, and what the file holds."""
  encoded = jax.tree.map(jc.encoded.Dense, variables)
  metadata = files.describe(task, 'family:row', 3)
  jc.save(tmp_path / 'model.jcz', encoded, metadata=metadata)
  assert jc.load(tmp_path / 'model.jcz').metadata == metadata
  return files.load(tmp_path / 'model.jcz')


def test_an_image_classifier_that_lost_channels(tmp_path):
  model = models.build('resnet8', classes=3)
  task = tasks.image_classification(
    model, arrays(tmp_path), 16, scale=(0.3, 0.5)
  )
  cut = removal.remove_filters('cut', {'params/conv2/.*': 0.5})
  task, variables = cut.change(task, task.init(KEY), KEY)
  found, held = again(task, tmp_path, variables)
  batch = task.test.get(0, 0, WHOLE)
  np.testing.assert_array_equal(
    found.predict(held, batch), task.predict(variables, batch)
  )
  assert held['params']['conv2']['kernel'].shape[-1] == 8


@pytest.mark.parametrize('kind', ['next_token', 'masked_tokens'])
def test_texts_and_their_alphabet(kind, tmp_path):
  path = tmp_path / 'book.txt'
  path.write_text('abcd' * 40)
  found = text.load(str(path))
  if kind == 'next_token':
    lstm = models.build('character_lstm', vocabulary=4, features=6)
    task = tasks.next_token(lstm, found, 2, 8)
  else:
    sizes = dict(layers=1, heads=2, width=8, hidden=16, positions=8)
    bert = models.build('bert_masked', vocabulary=5, **sizes)
    task = tasks.masked_tokens(bert, found, 2, 8, 0.5)
  path.write_text('dbca' * 40)  # the same letters, and another text
  rebuilt, held = again(task, tmp_path, task.init(KEY))
  batch = rebuilt.test.get(0, 0, WHOLE)
  np.testing.assert_array_equal(
    batch['targets' if kind == 'masked_tokens' else 'tokens'][0, :4],
    [3, 1, 2, 0],
  )
  outputs = [
    jax.tree.leaves(t.predict(held, batch))[0] for t in (task, rebuilt)
  ]
  np.testing.assert_array_equal(*outputs)


def test_labelled_texts(tmp_path):
  rows = np.tile(np.array([3, 4, 0, 0]), (6, 1))
  path = tmp_path / 'own.npz'
  labels = np.arange(6) % 2
  np.savez(path, x_train=rows, y_train=labels, x_test=rows, y_test=labels)
  sizes = dict(layers=1, heads=2, width=8, hidden=16, positions=4)
  model = models.build('bert_classifier', vocabulary=5, **sizes)
  task = tasks.text_classification(model, data.load(str(path)), 2)
  rebuilt, held = again(task, tmp_path, task.init(KEY))
  assert rebuilt.about == task.about and rebuilt.train.size == 6


def test_a_model_of_ones_own_needs_its_config():
  metadata = files.describe(tiny.task(), 'family:row', 0)
  assert 'model' not in metadata
  with pytest.raises(ValueError, match='recipe is family:row. Give its'):
    files.task_of(metadata)


def test_a_file_without_data():
  metadata = {
    'task': 'image_classification',
    'model': {'name': 'lenet5', 'options': {}},
  }
  with pytest.raises(ValueError, match='give --data=NAME'):
    files.task_of(metadata)


def test_params_alone_are_taken_too():
  artifact = jc.unpack(jc.pack({'fc': {'kernel': np.ones(3)}}))
  assert set(files.variables_of(artifact)) == {'params'}
  artifact = jc.unpack(jc.pack({'params': np.ones(3)}))
  np.testing.assert_array_equal(files.variables_of(artifact)['params'], 1)
