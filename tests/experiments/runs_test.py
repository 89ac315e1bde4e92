import ml_collections
import numpy as np
import pytest

from jcompress.experiments import data, runs, stages

RECIPE = stages.Recipe(len, sum)
IMAGES, LABELS = np.zeros((2, 1, 1, 1), np.uint8), np.arange(2, dtype=np.int32)
DATASET = data.Dataset(IMAGES, LABELS, IMAGES, LABELS)


def test_a_file_describes_its_model_and_its_classes():
  apply_fn = runs.model_of({'model': 'lenet_300_100', 'classes': 3})
  layer = lambda a, b: {'kernel': np.zeros((a, b)), 'bias': np.arange(b) * 1.0}
  params = {
    'fc1': layer(4, 300),
    'fc2': layer(300, 100),
    'fc3': layer(100, 3),
  }
  logits = apply_fn(params, np.ones((2, 4), np.float32))
  np.testing.assert_array_equal(logits, [[0, 1, 2]] * 2)
  with pytest.raises(ValueError, match='does not say its model'):
    runs.model_of({'data': 'digits'})


def test_a_recipe_is_the_functions_of_a_file(tmp_path):
  path = tmp_path / 'config.py'
  path.write_text('get_compressor = len\nget_optimizer = sum\n')
  recipe = runs.load_recipe(str(path))
  assert recipe.get_compressor is len and recipe.get_optimizer is sum


def test_a_stage_that_the_config_lacks_is_refused(tmp_path):
  config = ml_collections.ConfigDict({'stages': ('dense', 'prune')})
  with pytest.raises(ValueError, match="No stage 'share'; .* dense, prune"):
    runs.stage_params(config, RECIPE, DATASET, tmp_path / 'run', 'share')
  assert not (tmp_path / 'run').exists()


def test_a_folder_holds_the_run_of_one_config(tmp_path):
  config = ml_collections.ConfigDict({'stages': ('dense',), 'seed': 0})
  (tmp_path / 'config.json').write_text('{"stages": ["dense"], "seed": 1}')
  with pytest.raises(ValueError, match='seed: 1 -> 0'):
    runs.stage_params(config, RECIPE, DATASET, tmp_path)
