import json

import jax
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.experiments import networks, recipe, sources, stages, task
from jcompress.experiments.evaluation import evaluate
from jcompress.experiments.recipe import Train

WEIGHTS = np.array([[0.2], [0.9], [-1.2], [0.1]], np.float32)


def tiny_task(config=None):
  """One layer, whose metrics are named in an order of their own."""
  x = np.eye(8, 4, dtype=np.float32)
  source = sources.in_order({'x': x, 'y': x @ WEIGHTS}, 8)
  network = networks.plain(
    lambda key: {'fc': {'kernel': jax.numpy.asarray(WEIGHTS)}},
    lambda params, x: x @ params['fc']['kernel'],
    lambda batch: (batch['x'],),
  )
  total = lambda y, batch: ((y - batch['y']) ** 2).sum()
  return task.Task(
    lambda key: network.init(key, None),
    network.apply,
    network.predict,
    lambda y, batch: (total(y, batch), {}),
    lambda y, batch: {'square': (total(y, batch), 1), 'mean': (y.sum(), 8)},
    source,
    source,
  )


def tiny_recipe(*of_stages):
  config = lambda: recipe.defaults(batch_size=8)
  make = lambda config, task: list(of_stages)
  return recipe.Recipe('tiny.py', '', config, tiny_task, make)


def found(start):
  bits = 1 + int(abs(start.params['fc']['kernel']).max())
  return jc.linear_quantize(bits, axis=None), {'bits': bits}


def test_a_stage_shows_what_it_does_at_once_and_what_was_found(tmp_path):
  train = Train('train', found, optax.sgd(0.0), 3, at_once='at_once')
  tiny = tiny_recipe(train)
  done = stages.run(tiny, tiny.config(), tmp_path)
  assert list(done.measured) == ['at_once', 'train']
  # Three values, 1.2 apart: the error of each weight is 0.2, 0.3, 0, 0.1.
  at_once = done.measured['at_once']
  np.testing.assert_allclose(at_once['square'], 0.14, rtol=1e-5)
  assert at_once == done.measured['train']
  assert at_once['bits'] == 2
  again = stages.run(tiny, tiny.config(), tmp_path)
  assert again.measured == done.measured
  lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(x)['stage'] for x in lines] == [
    'at_once',
    'train',
    'train',
  ]


def test_what_is_shown_at_once_needs_a_name_of_its_own(tmp_path):
  tiny = tiny_recipe(Train('train', jc.identity(), at_once='train'))
  with pytest.raises(ValueError, match="'train', 'train'"):
    stages.run(tiny, tiny.config(), tmp_path)


def test_metrics_come_in_the_order_of_the_task():
  tiny = tiny_task()
  variables = tiny.init(jax.random.key(0))
  assert list(evaluate(tiny, variables)) == ['square', 'mean']
