"""What a network says of all examples, in a file that is mapped into memory."""

import hashlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from jcompress.code import atomic

AT_ONCE = 1000  # examples


def of(
  predict: Callable[[Any, Any], Any],
  variables: Any,
  arrays: Mapping[str, np.ndarray],
  folder: pathlib.Path,
) -> Float32[np.ndarray, 'n ...']:
  """The outputs of a network, written once, in the order of the examples.

  The name of the file tells the numbers of the network and the examples, so
  that those of another one are never read in its place.

  Args:
    predict: `(variables, batch) -> outputs`, one array.
    variables: of the network.
    arrays: by name, the examples along the first axis of each.
    folder: where the file lies.

  Returns:
    Float32, a map of the file.
  """
  path = folder / f'{_digest(variables, arrays)}.npy'
  if not path.exists():
    folder.mkdir(parents=True, exist_ok=True)
    _write(jax.jit(predict), variables, arrays, path)
  return np.load(path, mmap_mode='r')


def _write(predict, variables, arrays, path):
  count = len(next(iter(arrays.values())))
  batch = lambda first: {
    name: x[first : first + AT_ONCE] for name, x in arrays.items()
  }
  form = jax.eval_shape(predict, variables, batch(0))
  shape = (count, *form.shape[1:])

  def write(whole):
    written = np.lib.format.open_memmap(whole, 'w+', np.float32, shape)
    for first in range(0, count, AT_ONCE):
      written[first : first + AT_ONCE] = predict(variables, batch(first))
    written.flush()

  atomic.replace_file(path, write)


def _digest(variables, arrays):
  found = hashlib.sha256()
  for x in jax.tree.leaves((variables, dict(arrays))):
    x = np.asarray(x)
    found.update(f'{x.shape}{x.dtype}'.encode())
    found.update(x.tobytes())
  return found.hexdigest()[:24]
