import json

import pytest

from jcompress.experiments.metrics import Metrics, read_metrics, write_whole


def test_metrics_after_a_resume_have_no_step_twice(tmp_path):
  lines = [
    {'stage': 'dense', 'step': 4},
    {'stage': 'dense', 'step': 8},
    {'stage': 'dense', 'step': 8, 'test': {'error': 1.0}},
    {'stage': 'prune', 'step': 4},
    {'stage': 'prune', 'step': 8},
  ]
  path = tmp_path / 'metrics.jsonl'
  text = ''.join(json.dumps(r) + '\n' for r in lines)
  path.write_text(text + '{"stage": "prune", "st')
  with Metrics(tmp_path, 'prune', 6) as metrics:
    assert metrics.result is None
    metrics.write(step=8)
  assert list(read_metrics(path)) == lines
  with Metrics(tmp_path, 'dense', 8) as metrics:
    assert metrics.result['test'] == {'error': 1.0}


def test_metrics_damaged_in_the_middle_are_refused(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"stage": "a"\n{"stage": "a", "step": 1}\n')
  with pytest.raises(ValueError, match='damaged in line 1'):
    list(read_metrics(path))


def test_a_file_is_replaced_as_a_whole(tmp_path):
  path = tmp_path / 'result.json'
  for text in ('first', 'second'):
    write_whole(path, text)
  assert path.read_text() == 'second'
  assert [p.name for p in tmp_path.iterdir()] == ['result.json']
