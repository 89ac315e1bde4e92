import json

import ml_collections
import pytest

from jcompress.experiments.config import require_same_config


def test_a_folder_holds_the_run_of_one_config(tmp_path):
  path = tmp_path / 'config.json'
  config = ml_collections.ConfigDict({'seed': 0, 'log_every': 5, 'x': {'k': 1}})
  require_same_config(config, 'a:b', path)
  assert json.loads(path.read_text()) == {'recipe': 'a:b', **config.to_dict()}
  config.log_every = 9
  require_same_config(config, 'a:b', path)
  config.x.k = 2
  with pytest.raises(ValueError, match="'k': 1.* -> .*'k': 2.*new --workdir"):
    require_same_config(config, 'a:b', path)
  config.x.k = 1
  with pytest.raises(ValueError, match='recipe: a:b -> a:c'):
    require_same_config(config, 'a:c', path)
