import json

import ml_dtypes
import numpy as np
import pytest

import jcompress as jc
from jcompress import main
from jcompress.experiments import checkpoints, packing

RNG = np.random.default_rng(0)
ARRAYS = {
  'fc1.weight': RNG.standard_normal((64, 80)).astype('float32'),
  'fc1.bias': np.ones(64, np.float32),
  'fc2.weight': RNG.standard_normal((64, 64)).astype(ml_dtypes.bfloat16),
  'wide.weight': RNG.standard_normal((40, 40)),
  'ids': np.arange(7),
}


@pytest.fixture(scope='module')
def model(tmp_path_factory):
  path = tmp_path_factory.mktemp('model') / 'model.safetensors'
  checkpoints.write(path, ARRAYS, {'metadata': {'format': 'pt'}})
  return path


def test_there_and_back(model, tmp_path, capsys):
  small, back = tmp_path / 'model.jcz', tmp_path / 'back.safetensors'
  main.main(['compress', str(model), f'--output={small}', '--bits=4'])
  assert 'fc1.weight' in capsys.readouterr().out
  assert small.stat().st_size < 0.25 * model.stat().st_size
  main.main(['decompress', str(small), f'--output={back}'])
  found = checkpoints.read(back)
  assert found.about['metadata'] == {'format': 'pt'}
  for name, x in ARRAYS.items():
    y = found.params[name]
    assert y.dtype == x.dtype and y.shape == x.shape
  np.testing.assert_array_equal(found.params['ids'], ARRAYS['ids'])
  np.testing.assert_array_equal(found.params['fc1.bias'], 1)
  capsys.readouterr()
  main.main(['compare', str(model), str(back)])
  table = capsys.readouterr().out
  row = next(line for line in table.splitlines() if 'fc1.weight' in line)
  change = found.params['fc1.weight'] - ARRAYS['fc1.weight']
  error = np.linalg.norm(change) / np.linalg.norm(ARRAYS['fc1.weight'])
  assert f'{error:.3g}' in row and '64x80' in row


def test_a_plan_is_written_and_then_followed(model, tmp_path):
  plan, first, second = (tmp_path / n for n in ('p.json', 'a.jcz', 'b.jcz'))
  report, made = packing.compress_file(model, first, plan, size=9000)
  assert report.total.file_bytes == first.stat().st_size
  assert len(json.loads(plan.read_text())['choices']) == 3
  packing.compress_file(model, second, plan)
  assert first.read_bytes() == second.read_bytes()
  with pytest.raises(ValueError, match='says what to do: leave out --size'):
    packing.compress_file(model, second, plan, size=9000)
  assert made.size <= 9000


def test_kernels_of_torch_have_their_outputs_first(model, tmp_path):
  out = tmp_path / 'a.jcz'
  packing.compress_file(model, out, error=0.05, methods=('linear',))
  leaf = jc.load(out).tree['fc1.weight']
  assert leaf.scale.size == 64


def test_comparing_needs_the_same_arrays(model, tmp_path):
  other = tmp_path / 'b.npz'
  checkpoints.write(other, {'fc1.weight': np.ones((2, 2))}, {})
  with pytest.raises(ValueError, match='Only one of the files has fc1.bias'):
    packing.compare_files(model, other)


@pytest.mark.parametrize('text', ['', 'MB', '10XB', 'ten'])
def test_what_is_no_size_is_refused(text):
  with pytest.raises(ValueError, match='is not a size; give bytes'):
    packing.size_of(text)


@pytest.mark.parametrize(
  ('words', 'message'),
  [
    (['compress', 'a.npz'], 'compress needs --output'),
    (['decompress', 'a.jcz'], 'decompress needs --output'),
    (['compress', 'a.bin', '--output=a.jcz', '--bits=4'], 'does not end in'),
  ],
)
def test_errors_of_the_commands(words, message):
  with pytest.raises(ValueError, match=message):
    main.main(words)


def test_no_file_is_written_over_its_source(tmp_path):
  path = tmp_path / 'model.safetensors'
  checkpoints.write(path, ARRAYS, {})
  before = path.read_bytes()
  other = tmp_path / '.' / 'link.safetensors'
  other.symlink_to(path)
  for output in path, other:
    with pytest.raises(ValueError, match='name another output'):
      packing.compress_file(path, output, bits=4)
  assert path.read_bytes() == before
  small = tmp_path / 'model.npz'
  packing.compress_file(path, small, bits=4)
  with pytest.raises(ValueError, match='name another output'):
    packing.decompress_file(small, small)
