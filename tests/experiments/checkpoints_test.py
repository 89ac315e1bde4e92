import json
import os
import tracemalloc

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jcompress.experiments import checkpoints, safetensor_files

RNG = np.random.default_rng(0)
ARRAYS = {
  'encoder.layer.0.weight': RNG.standard_normal((4, 3)).astype('float32'),
  'a/b': RNG.standard_normal(5),
  'größe': np.array([2**40, -5], np.int64),
  'scalar': np.float16(1.5),
  'empty': np.zeros((0, 3), np.uint8),
  'flag': np.array([True, False]),
  'file': np.array([3, -4], np.int8),
}
HALF = {
  'half': RNG.standard_normal((2, 2)).astype(ml_dtypes.bfloat16),
  'eight': np.ones(3, ml_dtypes.float8_e4m3fn),
}


def assert_same(found, want):
  assert sorted(found) == sorted(want)
  for name, x in want.items():
    y = found[name]
    assert y.dtype == x.dtype and y.shape == np.shape(x), name
    assert np.asarray(y).tobytes() == np.asarray(x).tobytes(), name


@pytest.mark.parametrize('ending', ['safetensors', 'npz', 'msgpack'])
def test_arrays_come_back_as_they_were(tmp_path, ending):
  path = tmp_path / f'model.{ending}'
  arrays = ARRAYS if ending == 'npz' else ARRAYS | HALF
  checkpoints.write(path, arrays, {})
  found = checkpoints.read(path)
  assert_same(found.params, arrays)
  assert found.about['format'] == ending
  assert os.listdir(tmp_path) == [path.name]


def test_metadata_of_safetensors_stay(tmp_path):
  path, again = tmp_path / 'a.safetensors', tmp_path / 'b.safetensors'
  checkpoints.write(path, HALF, {'metadata': {'format': 'pt', 'é': '1'}})
  found = checkpoints.read(path)
  assert found.about['metadata'] == {'format': 'pt', 'é': '1'}
  checkpoints.write(again, found.params, found.about)
  assert checkpoints.read(again).about == found.about
  assert_same(checkpoints.read(again).params, HALF)


def test_two_hundred_odd_names(tmp_path):
  path = tmp_path / 'a.safetensors'
  odd = {
    f'{i}.{chr(0x400 + i)}/{"x" * (i % 7)} ."\\': np.array([i])
    for i in range(200)
  }
  checkpoints.write(path, odd, {})
  assert_same(checkpoints.read(path).params, odd)


def test_shards_are_read_and_written_as_they_were(tmp_path):
  index = tmp_path / 'model.safetensors.index.json'
  names = list(ARRAYS)
  shards = {n: f'part-{i % 2}.safetensors' for i, n in enumerate(names)}
  for shard in sorted(set(shards.values())):
    mine = {n: ARRAYS[n] for n in names if shards[n] == shard}
    checkpoints.write(tmp_path / shard, mine, {'metadata': {'format': 'pt'}})
  index.write_text(json.dumps({'metadata': {'total': 7}, 'weight_map': shards}))
  found = checkpoints.read(index)
  assert_same(found.params, ARRAYS)
  other = tmp_path / 'other'
  other.mkdir()
  checkpoints.write(other / index.name, found.params, found.about)
  for shard in set(shards.values()):
    assert (other / shard).read_bytes() == (tmp_path / shard).read_bytes()
  assert json.loads((other / index.name).read_text())['weight_map'] == shards


def test_a_shard_in_another_folder_is_refused(tmp_path):
  index = tmp_path / 'model.safetensors.index.json'
  index.write_text(json.dumps({'weight_map': {'a': '../a.safetensors'}}))
  with pytest.raises(ValueError, match='lies in another folder'):
    checkpoints.read(index)
  about = {'index': json.loads(index.read_text()), 'shards': {}}
  with pytest.raises(ValueError, match='lies in another folder'):
    safetensor_files.write_index(index, {'a': np.ones(2)}, about)


def test_nested_trees(tmp_path):
  nested = {'fc': {'kernel': np.ones((2, 3), np.float32), 'bias': np.zeros(3)}}
  checkpoints.write(tmp_path / 'a.msgpack', nested, {})
  found = checkpoints.read(tmp_path / 'a.msgpack').params
  assert_same(found['fc'], nested['fc'])
  checkpoints.write(tmp_path / 'a.npz', nested, {})
  assert sorted(checkpoints.read(tmp_path / 'a.npz').params) == [
    'fc/bias',
    'fc/kernel',
  ]


def test_orbax_folders(tmp_path):
  nested = {'fc': {'kernel': jnp.ones((2, 3)), 'bias': jnp.zeros(3)}}
  checkpoints.write(tmp_path / 'step_7', nested, {})
  found = checkpoints.read(tmp_path / 'step_7')
  np.testing.assert_array_equal(found.params['fc']['kernel'], np.ones((2, 3)))
  assert found.about == {'format': 'orbax'}


def test_hdf5_groups(tmp_path):
  pytest.importorskip('h5py')
  arrays = {'layers/dense/vars/0': np.ones((2, 3), np.float32)}
  checkpoints.write(tmp_path / 'a.weights.h5', arrays, {})
  assert_same(checkpoints.read(tmp_path / 'a.weights.h5').params, arrays)


@pytest.mark.parametrize('damage', ['cut', 'header', 'empty', 'overlap'])
def test_damaged_files_are_refused(tmp_path, damage):
  path = tmp_path / 'a.safetensors'
  checkpoints.write(path, {'a': np.ones(4), 'b': np.zeros(4)}, {})
  data = path.read_bytes()
  head = json.loads(data[8 : 8 + int.from_bytes(data[:8], 'little')])
  head['b']['data_offsets'] = [0, 32]
  text = json.dumps(head).encode()
  overlap = len(text).to_bytes(8, 'little') + text + bytes(64)
  damaged = {
    'cut': data[:-3],
    'header': b'\xff' * 8 + data[8:],
    'empty': b'',
    'overlap': overlap,
  }
  path.write_bytes(damaged[damage])
  with pytest.raises(ValueError, match='is not a whole safetensors checkpoint'):
    checkpoints.read(path)


def test_what_a_format_cannot_hold_is_refused_and_nothing_written(tmp_path):
  for ending in ('npz', 'safetensors'):
    odd = {'w': np.ones(3, ml_dtypes.int4)}
    with pytest.raises(ValueError, match='w is int4, which'):
      checkpoints.write(tmp_path / f'a.{ending}', odd, {})
  with pytest.raises(ValueError, match='is float8_e4m3fn, which .npz does not'):
    checkpoints.write(tmp_path / 'a.npz', HALF, {})
  assert not os.listdir(tmp_path)


def test_other_endings_and_missing_files(tmp_path):
  with pytest.raises(ValueError, match='a.bin does not end in .safetensors'):
    checkpoints.read(tmp_path / 'a.bin')
  with pytest.raises(FileNotFoundError, match='There is no'):
    checkpoints.read(tmp_path / 'a.npz')


def test_a_safetensors_file_is_mapped_not_copied(tmp_path):
  path = tmp_path / 'model.safetensors'
  checkpoints.write(path, {'w': np.ones((1000, 1000), np.float32)}, {})
  tracemalloc.start()
  read = checkpoints.read(path).params['w']
  assert tracemalloc.get_traced_memory()[1] < 1_000_000
  tracemalloc.stop()
  assert read.shape == (1000, 1000) and (read == 1).all()
