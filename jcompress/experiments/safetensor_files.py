"""Safetensors files, alone or as the shards of an index."""

import json
import pathlib
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from jcompress import tree
from jcompress.code.atomic import replace_file

SAFE = {
  **{f'F{n}': np.dtype(f'float{n}') for n in (16, 32, 64)},
  **{f'I{n}': np.dtype(f'int{n}') for n in (8, 16, 32, 64)},
  **{f'U{n}': np.dtype(f'uint{n}') for n in (8, 16, 32, 64)},
  'BOOL': np.dtype(bool),
  'BF16': np.dtype(ml_dtypes.bfloat16),
  'F8_E4M3': np.dtype(ml_dtypes.float8_e4m3fn),
  'F8_E5M2': np.dtype(ml_dtypes.float8_e5m2),
}


def read(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """The arrays by name, and the metadata if there are any.

  The file is mapped into memory: what is not looked at is not read.

  Raises:
    ValueError: a dtype that NumPy does not have.
    safetensors.SafetensorError: a damaged file.
  """
  with safetensors.safe_open(path, framework='np'):
    pass  # it has checked the header
  with path.open('rb') as file:
    size = int.from_bytes(file.read(8), 'little')
    header = json.loads(file.read(size))
  metadata = header.pop('__metadata__', None)
  ends = {name: entry['data_offsets'] for name, entry in header.items()}
  is_empty = not any(end for _, end in ends.values())
  data = np.zeros(0, np.uint8)
  if not is_empty:
    data = np.memmap(path, np.uint8, 'r', offset=8 + size)
  found = {}
  for name in sorted(header, key=ends.__getitem__):
    kind, (begin, end) = header[name]['dtype'], ends[name]
    if kind not in SAFE:
      raise ValueError(f'{name} is of {kind}, not of {list(SAFE)}')
    values = np.asarray(data[begin:end]).view(SAFE[kind])
    found[name] = values.reshape(header[name]['shape'])
  return found, {'metadata': metadata} if metadata else {}


def read_index(
  path: pathlib.Path,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """The arrays of all shards, and what `write_index` needs.

  Raises:
    ValueError: a shard in another folder, or arrays that are in no shard.
  """
  index = json.loads(path.read_text())
  shards = sorted(set(index['weight_map'].values()))
  found: dict[str, np.ndarray] = {}
  about = {}
  for shard in shards:
    _require_here(shard)
    arrays, about[shard] = read(path.parent / shard)
    found |= arrays
  missing = [name for name in index['weight_map'] if name not in found]
  if missing:
    raise ValueError(f'{", ".join(missing)} is in no shard')
  return found, {'index': index, 'shards': about}


def write(path: pathlib.Path, params: Any, about: Any) -> None:
  """Writes arrays under their paths.

  Raises:
    ValueError: a dtype that the format does not have.
  """
  arrays = {
    n: np.asarray(x, order='C') for n, x in tree.by_name(params).items()
  }
  for name, x in arrays.items():
    if x.dtype not in SAFE.values():
      raise ValueError(f'{name} is {x.dtype}, which safetensors does not have.')
  specs = {
    name: safetensors.TensorSpec(
      dtype=x.dtype.name,
      shape=x.shape,
      data_ptr=x.ctypes.data,
      data_len=x.nbytes,
    )
    for name, x in arrays.items()
  }
  data = bytes(safetensors.serialize(specs, metadata=about.get('metadata')))
  replace_file(path, lambda temporary: temporary.write_bytes(data))


def write_index(path: pathlib.Path, params: Any, about: Any) -> None:
  """Writes the shards as they were, then their index.

  Raises:
    ValueError: the checkpoint had no index.
  """
  if 'index' not in about:
    raise ValueError(
      f'{path} is an index of shards, and the checkpoint had none: give a name '
      'that ends in .safetensors.'
    )
  arrays = tree.by_name(params)
  shards: dict[str, dict[str, Any]] = {}
  for name, shard in about['index']['weight_map'].items():
    shards.setdefault(shard, {})[name] = arrays[name]
  for shard, mine in shards.items():
    _require_here(shard)
    write(path.parent / shard, mine, about['shards'][shard])
  text = json.dumps(about['index'], indent=2) + '\n'
  replace_file(path, lambda temporary: temporary.write_text(text))


def _require_here(shard):
  """Raises a `ValueError` unless a shard lies beside its index."""
  if not isinstance(shard, str) or pathlib.PurePath(shard).name != shard:
    raise ValueError(f'{shard!r} lies in another folder than its index')
