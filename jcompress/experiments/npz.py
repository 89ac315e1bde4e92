"""Own labelled sets from a file of NumPy arrays."""

import pathlib
import zipfile

import numpy as np

_SETS = (
  ('x_train', 'y_train', 'x_test', 'y_test'),
  ('train_images', 'train_labels', 'test_images', 'test_labels'),
  ('train_inputs', 'train_labels', 'test_inputs', 'test_labels'),
)


def read(path: pathlib.Path) -> tuple[np.ndarray, ...]:
  """Reads training inputs and labels, and test inputs and labels.

  Args:
    path: of a file that `np.savez` wrote, with the arrays `x_train`, `y_train`,
      `x_test`, `y_test` (as Keras names them) or `train_images`,
      `train_labels`, `test_images`, `test_labels` (as MedMNIST does;
      `inputs` for `images`, where they are none). Images are bytes `[n, height,
      width]` or `[n, height, width, channels]`; other inputs are floats, or
      integers, tokens `[n, length]` with 0 where a row has ended. Labels are
      integers from zero, `[n]` or `[n, 1]`.

  Raises:
    ValueError: no such file, or arrays of other names, shapes or types.
  """
  try:
    with np.load(path) as file:
      arrays = {name: file[name] for name in file.files}
  except (OSError, ValueError, zipfile.BadZipFile) as error:
    raise ValueError(
      f'{path} is not a file of arrays, as np.savez writes them: {error}'
    ) from error
  names = next((n for n in _SETS if set(n) <= set(arrays)), None)
  if names is None:
    raise ValueError(
      f'{path} has the arrays {sorted(arrays)}; it needs '
      f'{", ".join(_SETS[0])}, or {", ".join(_SETS[1])}.'
    )
  x, y, x_test, y_test = (arrays[name] for name in names)
  return (*_pair(path, x, y, names), *_pair(path, x_test, y_test, names[2:]))


def _pair(path, x, y, names):
  if y.ndim == 2 and y.shape[1] == 1:
    y = y[:, 0]
  is_label = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
  if not is_label or len(x) != len(y) or not len(y) or y.min() < 0:
    raise ValueError(
      f'{path} has {names[0]} {x.dtype}{list(x.shape)} and {names[1]} '
      f'{y.dtype}{list(y.shape)}; labels are integers from zero, one an input.'
    )
  if x.dtype == np.uint8:
    x = x[..., None] if x.ndim == 3 else x
  elif np.issubdtype(x.dtype, np.floating):
    x = x.astype(np.float32)
  elif np.issubdtype(x.dtype, np.integer):
    x = x.astype(np.int32)
  else:
    raise ValueError(
      f'{path} has {names[0]} of {x.dtype}; inputs are bytes, floats or '
      'integers.'
    )
  return x, y.astype(np.int32)
