import numpy as np
import pytest

from jcompress.experiments import npz

X = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
Y = np.arange(4)
KERAS = 'x_train', 'y_train', 'x_test', 'y_test'


def saved(tmp_path, *arrays, names=KERAS):
  path = tmp_path / 'own.npz'
  np.savez(path, **dict(zip(names, arrays, strict=True)))
  return path


def test_gray_images_get_a_channel(tmp_path):
  x, y, test_x, _ = npz.read(saved(tmp_path, X, Y, X[:2], Y[:2]))
  np.testing.assert_array_equal(x, X[..., None])
  assert y.dtype == np.int32 and test_x.shape == (2, 3, 2, 1)


def test_labels_of_one_column_and_other_names(tmp_path):
  names = 'train_images', 'train_labels', 'test_images', 'test_labels'
  path = saved(tmp_path, X, Y[:, None], X, Y[:, None], names=names)
  np.testing.assert_array_equal(npz.read(path)[1], Y)


@pytest.mark.parametrize(
  ('given', 'want'), [('float64', 'float32'), ('int64', 'int32')]
)
def test_rows_of_floats_and_of_tokens(tmp_path, given, want):
  rows = X.reshape(4, 6).astype(given)
  x = npz.read(saved(tmp_path, rows, Y, rows, Y))[0]
  np.testing.assert_array_equal(x, rows)
  assert x.dtype == want


@pytest.mark.parametrize(
  ('x', 'y', 'message'),
  [
    (X, Y[:3], r'uint8\[4, 3, 2\] and y_train int64\[3\]'),
    (X, Y - 1, 'from zero'),
    (X, Y * 1.0, 'labels are integers'),
    (X.astype(complex), Y, 'inputs are bytes'),
  ],
)
def test_arrays_that_are_no_labelled_set(tmp_path, x, y, message):
  with pytest.raises(ValueError, match=message):
    npz.read(saved(tmp_path, x, y, X, Y))


def test_other_files_and_other_names(tmp_path):
  path = tmp_path / 'own.npz'
  with pytest.raises(ValueError, match='No such file'):
    npz.read(path)
  path.write_text('text')
  with pytest.raises(ValueError, match='not a file of arrays'):
    npz.read(path)
  with pytest.raises(ValueError, match=r"arrays \['a'\]; it needs x_train"):
    npz.read(saved(tmp_path, X, names=('a',)))
