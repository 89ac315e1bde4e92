"""How each kind of encoded leaf becomes bytes.

`Sparse`, `Codebook`, `Quantized`, `Blocks` and `Rotated` have layouts of their
own: the positions of what is kept (or of the codes that are not the commonest
one) and the values at them; `Stacked`, `Scaled` and `Tied` hold the records of
other leaves. Every other kind is written field by field, static fields as plain
values; a kind added later needs nothing here, it is found by its name among the
subclasses of `encoded.Encoded`.

A record is one byte (the layout) and the layout's streams.
"""

import types
from typing import Any

import jax.numpy as jnp
import numpy as np

from jcompress import encoded
from jcompress.code import (
  arrays,
  codes,
  fields,
  forms,
  heads,
  holders,
  masks,
  wire,
)
from jcompress.code.orders import order, zero_of

_SPARSE = 1
CODEBOOK = {codes.FLAT: 2, codes.SPLIT: 3, codes.JOINT: 8}
_QUANTIZED = {codes.FLAT: 11, codes.SPLIT: 12, codes.JOINT: 13}
_OLD_QUANTIZED = {codes.FLAT: 4, codes.SPLIT: 5, codes.JOINT: 9}
_STACKED, _SCALED, _TIED = 6, 7, 10
_GRIDS = types.MappingProxyType(
  {
    encoded.Quantized: ('scale', 'zero'),
    encoded.Blocks: ('scale', 'centers'),
    encoded.Rotated: ('scale', 'centers', 'signs'),
  }
)
_OLD_LOW = 1 << 15  # was added to the lowest code


def encode(
  leaf: encoded.Encoded,
  coder: str,
  path: str,
  stated: tuple[int, ...] | None = None,
) -> bytes:
  """Writes one leaf.

  Args:
    leaf: of any kind.
    coder: see `streams.encode_stream`.
    path: of the leaf.
    stated: shape of the decoded array, if the reader knows it.

  Raises:
    ValueError: NaN or inf, a dtype or a field that a file cannot hold, codes
      out of their codebook; it names `path`.
  """
  if type(leaf) is encoded.Sparse and leaf.values.shape == leaf.mask.shape:
    return _encode_sparse(leaf, coder, path, stated)
  if type(leaf) is encoded.Codebook and _is_scalar_codebook(leaf):
    return _encode_codebook(leaf, coder, path, stated)
  whole: Any = leaf
  if type(leaf) in _GRIDS and _is_small_integer(whole.codes):
    return _encode_quantized(leaf, coder, path, stated)
  _check_vector_codes(leaf, path)
  if type(leaf) is encoded.Stacked:
    return bytes([_STACKED]) + holders.encode_stacked(leaf, coder, path, encode)
  if type(leaf) is encoded.Scaled:
    return bytes([_SCALED]) + holders.encode_scaled(leaf, coder, path, encode)
  if type(leaf) is encoded.Tied:
    return bytes([_TIED]) + holders.encode_tied(leaf, coder, path, encode)
  return fields.encode(leaf, coder, path)


def decode(
  record: bytes, kind: str, stated: tuple[int, ...] | None = None
) -> encoded.Encoded:
  """Inverts `encode`.

  Args:
    record: what it wrote.
    kind: the name of the leaf's class.
    stated: shape of the decoded array, if it is known.

  Raises:
    ValueError: the record is damaged, or the class is not known.
  """
  cls = fields.find_class(kind)
  reader = wire.Reader(record, f'{kind} leaf')
  layout = reader.byte()
  if layout & fields.PADDED:
    reader.take(reader.varint())
  layout &= ~fields.PADDED
  if layout == _SPARSE and cls is encoded.Sparse:
    return _decode_sparse(reader, stated)
  if layout in CODEBOOK.values() and cls is encoded.Codebook:
    return _decode_codebook(reader, _way(CODEBOOK, layout), stated)
  if layout in _QUANTIZED.values() and cls in _GRIDS:
    return _decode_quantized(reader, cls, _way(_QUANTIZED, layout), stated)
  if layout in _OLD_QUANTIZED.values() and cls in _GRIDS:
    return _decode_old_quantized(reader, cls, _way(_OLD_QUANTIZED, layout))
  if layout == _STACKED and cls is encoded.Stacked:
    return holders.decode_stacked(reader, decode)
  if layout == _SCALED and cls is encoded.Scaled:
    return holders.decode_scaled(reader, decode)
  if layout == _TIED and cls is encoded.Tied:
    return holders.decode_tied(reader, decode)
  if layout == fields.LAYOUT:
    leaf = fields.decode(reader, cls)
    _check_vector_codes(leaf, reader.what)
    return leaf
  raise ValueError(f'Unknown layout {layout} of {kind}: a newer file?')


def _encode_sparse(leaf, coder, path, stated):
  mask = np.asarray(fields.host(leaf.mask, path), bool)
  kept = fields.host(leaf.values, path)[mask]
  arrays.check(kept, path)
  head = heads.write_codes(kept.dtype, mask.shape, stated)
  positions = wire.prefixed(masks.encode(mask, coder))
  return bytes([_SPARSE]) + head + positions + arrays.encode(kept, coder)


def _decode_sparse(reader, stated):
  dtype, shape = heads.read_codes(reader, stated)
  mask = masks.decode(reader.prefixed(), shape)
  kept = arrays.decode(reader.rest())
  if kept.dtype != dtype or kept.shape != (np.count_nonzero(mask),):
    raise ValueError(
      f'Damaged {reader.what}: {np.count_nonzero(mask)} positions of {dtype}, '
      f'values {kept.dtype}{kept.shape}.'
    )
  values = np.zeros(shape, dtype)
  values[mask] = kept
  return fields.make(encoded.Sparse, reader.what, values=values, mask=mask)


def _is_scalar_codebook(leaf):
  return leaf.centers.ndim == 1 and jnp.issubdtype(
    leaf.codes.dtype, jnp.integer
  )


def _encode_codebook(leaf, coder, path, stated):
  centers, indices = (
    fields.host(leaf.centers, path),
    fields.host(leaf.codes, path),
  )
  arrays.check(centers, path)
  arrays.check(indices, path)
  codes.check(indices, centers.size, path)
  head = wire.prefixed(arrays.encode(centers, coder))
  head += heads.write_codes(indices.dtype, indices.shape, stated)
  if indices.dtype.name in ('int4', 'uint4'):
    indices = indices.astype(np.uint8)
  ranks, zero = order(centers)
  way, stream = codes.encode(indices, coder, zero, ranks)
  return bytes([CODEBOOK[way]]) + head + stream


def _decode_codebook(reader, way, stated):
  centers = arrays.decode(reader.prefixed())
  dtype, shape = heads.read_codes(reader, stated)
  if centers.ndim != 1 or not jnp.issubdtype(dtype, jnp.integer):
    raise ValueError(
      f'Damaged {reader.what}: centers {centers.shape}, codes {dtype}.'
    )
  indices = codes.decode(reader, way, shape, order(centers)[0])
  largest = int(indices.max()) if indices.size else 0
  if indices.size and largest >= centers.size:
    raise ValueError(
      f'Damaged {reader.what}: code {largest} of {centers.size} centers.'
    )
  indices = codes.typed(indices, 0, dtype, reader.what)
  return fields.make(
    encoded.Codebook, reader.what, centers=centers, codes=indices
  )


def _way(layouts, layout):
  return next(way for way, number in layouts.items() if number == layout)


def _is_small_integer(x):
  return jnp.issubdtype(x.dtype, jnp.integer) and x.dtype.itemsize <= 2


def _encode_quantized(leaf, coder, path, stated):
  forms.decoded_size(leaf, path)
  grid = fields.write(leaf, _GRIDS[type(leaf)], coder, path)
  steps = fields.host(leaf.codes, path)
  arrays.check(steps, path)
  _check_centers(leaf, steps, path)
  low = int(steps.min()) if steps.size else 0
  head = grid + wire.signed(low)
  head += heads.write_codes(steps.dtype, steps.shape, stated)
  symbols = np.asarray(steps.astype(np.int32) - low)
  way, stream = codes.encode(symbols, coder, zero_of(leaf) - low)
  return bytes([_QUANTIZED[way]]) + head + stream


def _decode_old_quantized(reader, cls, way):
  inner = wire.Reader(reader.prefixed(), reader.what)
  grid = fields.read(inner, cls, _GRIDS[cls])
  inner.end()
  return _decode_steps(reader, cls, way, grid, reader.varint() - _OLD_LOW)


def _decode_quantized(reader, cls, way, stated):
  grid = fields.read(reader, cls, _GRIDS[cls])
  return _decode_steps(reader, cls, way, grid, reader.signed(), stated)


def _decode_steps(reader, cls, way, grid, low, stated=None):
  dtype, shape = heads.read_codes(reader, stated)
  if not jnp.issubdtype(dtype, jnp.integer) or dtype.itemsize > 2:
    raise ValueError(f'Damaged {reader.what}: codes {dtype}.')
  steps = codes.decode(reader, way, shape)
  steps = codes.typed(steps, low, dtype, reader.what)
  leaf = fields.make(cls, reader.what, codes=steps, **grid)
  forms.decoded_size(leaf, reader.what)
  _check_centers(leaf, steps, reader.what)
  return leaf


def _check_centers(leaf, steps, what):
  if 'centers' in _GRIDS[type(leaf)]:
    codes.check(steps, leaf.centers.size, what)


def _check_vector_codes(leaf, what):
  if type(leaf) in (encoded.Codebook, encoded.Product):
    axis = 0 if type(leaf) is encoded.Codebook else 2
    codes.check(fields.host(leaf.codes, what), leaf.centers.shape[axis], what)
