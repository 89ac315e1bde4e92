"""Checkpoints of other programs: read whole, written as they were."""

import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.serialization
import jax
import msgpack
import numpy as np
import safetensors

from jcompress import tree
from jcompress.code.atomic import replace_file
from jcompress.experiments import safetensor_files

INDEX = '.safetensors.index.json'


class Checkpoint(NamedTuple):
  """What a checkpoint holds.

  Attributes:
    params: NumPy arrays; a dict by name, or nested as the format has them.
    about: plain values that `write` needs to write it as it was.
  """

  params: Any
  about: dict[str, Any]


def read(path: str | os.PathLike[str]) -> Checkpoint:
  """Reads a checkpoint by the ending of its name.

  `.safetensors` and `.safetensors.index.json` with its shards, `.npz`,
  `.msgpack` of flax, `.h5` (any HDF5, such as `.weights.h5` of Keras), or the
  folder of an orbax checkpoint.

  Raises:
    ValueError: another ending, or a damaged file.
    OSError: it cannot be read.
    ImportError: `.h5` without h5py.
  """
  path = pathlib.Path(path)
  kind = kind_of(path)
  if not path.exists():
    raise FileNotFoundError(f'There is no {path}.')
  try:
    params, about = _READ[kind](path)
  except (
    safetensors.SafetensorError,
    msgpack.UnpackException,
    KeyError,
    ValueError,
  ) as error:
    raise ValueError(
      f'{path} is not a whole {kind} checkpoint: {error}.'
    ) from (error)
  return Checkpoint(params, {'format': kind, **about})


def write(
  path: str | os.PathLike[str], params: Any, about: Mapping[str, Any]
) -> None:
  """Writes a checkpoint by the ending of its name, whole or not at all.

  Args:
    path: of the file; of the index for shards; a folder for orbax.
    params: arrays, by name or nested; for formats of names, nested ones are
      joined by `/`.
    about: of `read`; metadata and shards are written as they were.

  Raises:
    ValueError: a dtype that the format does not have, naming the array.
    OSError: it cannot be written.
  """
  path = pathlib.Path(path)
  params = jax.tree.map(tree.to_host, params)
  _WRITE[kind_of(path)](path, params, about)


def kind_of(path: pathlib.Path) -> str:
  """The format that a name stands for.

  Raises:
    ValueError: none.
  """
  if path.name.endswith(INDEX):
    return 'safetensors index'
  kind = {
    '.safetensors': 'safetensors',
    '.npz': 'npz',
    '.msgpack': 'msgpack',
    '.h5': 'hdf5',
    '.hdf5': 'hdf5',
    '': 'orbax',
  }.get(path.suffix)
  if path.is_dir():
    return 'orbax'
  if kind is None:
    raise ValueError(
      f'{path} does not end in .safetensors, {INDEX}, .npz, .msgpack or .h5, '
      'and is no folder of orbax.'
    )
  return kind


def _read_npz(path):
  with np.load(path, allow_pickle=False) as found:
    return {name: found[name] for name in found.files}, {}


def _read_msgpack(path):
  return flax.serialization.msgpack_restore(path.read_bytes()), {}


def _read_orbax(path):
  import orbax.checkpoint as ocp

  found = ocp.StandardCheckpointer().restore(path.absolute())
  return jax.tree.map(tree.to_host, found), {}


def _read_hdf5(path):
  import h5py

  found = {}
  with h5py.File(path) as file:
    keep = lambda name, x: found.update({name: np.asarray(x)})
    file.visititems(lambda n, x: keep(n, x) if hasattr(x, 'dtype') else None)
  return found, {}


def _write_npz(path, params, about):
  del about
  arrays = tree.by_name(params)
  for name, x in arrays.items():
    if x.dtype.kind not in 'biuf' or x.dtype.type.__module__ != 'numpy':
      raise ValueError(
        f'{name} is {x.dtype}, which .npz does not have; .safetensors has '
        'bfloat16 and float8.'
      )

  def save(temporary):
    # As np.savez writes it, whose keywords no array can be named by.
    with zipfile.ZipFile(temporary, 'w') as file:
      for name, x in arrays.items():
        with file.open(f'{name}.npy', 'w', force_zip64=True) as out:
          np.lib.format.write_array(out, x, allow_pickle=False)

  replace_file(path, save)


def _write_msgpack(path, params, about):
  del about
  data = flax.serialization.msgpack_serialize(params)
  replace_file(path, lambda temporary: temporary.write_bytes(data))


def _write_orbax(path, params, about):
  import orbax.checkpoint as ocp

  del about
  checkpointer = ocp.StandardCheckpointer()
  checkpointer.save(path.absolute(), params)
  checkpointer.wait_until_finished()


def _write_hdf5(path, params, about):
  import h5py

  del about

  def save(temporary):
    with open(temporary, 'w+b') as opened, h5py.File(opened, 'w') as file:
      for name, x in tree.by_name(params).items():
        file[name] = x

  replace_file(path, save)


_READ: dict[str, Callable[[pathlib.Path], Any]] = {
  'safetensors': safetensor_files.read,
  'safetensors index': safetensor_files.read_index,
  'npz': _read_npz,
  'msgpack': _read_msgpack,
  'orbax': _read_orbax,
  'hdf5': _read_hdf5,
}
_WRITE: dict[str, Callable[..., None]] = {
  'safetensors': safetensor_files.write,
  'safetensors index': safetensor_files.write_index,
  'npz': _write_npz,
  'msgpack': _write_msgpack,
  'orbax': _write_orbax,
  'hdf5': _write_hdf5,
}
