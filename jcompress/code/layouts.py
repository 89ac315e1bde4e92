"""How each kind of encoded leaf becomes bytes.

`Sparse` and `Codebook` have layouts of their own: the positions of what is kept
(or of the codes that are not the commonest one) and the values at them. Every
other kind is written field by field, static fields as plain values; a kind
added later needs nothing here, it is found by its name among the subclasses of
`encoded.Encoded`.

A record is one byte (the layout) and the layout's streams.
"""

import math

import jax.numpy as jnp
import numpy as np

from jcompress import encoded
from jcompress.code import arrays, fields, masks, streams, wire

_SPARSE, _FLAT, _SPLIT = 1, 2, 3


def encode(leaf: encoded.Encoded, coder: str, path: str) -> bytes:
  """Writes one leaf.

  Raises:
    ValueError: NaN or inf, a dtype or a field that a file cannot hold, codes
      out of their codebook; it names `path`.
  """
  if type(leaf) is encoded.Sparse and leaf.values.shape == leaf.mask.shape:
    return _encode_sparse(leaf, coder, path)
  if type(leaf) is encoded.Codebook and _is_scalar_codebook(leaf):
    return _encode_codebook(leaf, coder, path)
  return fields.encode(leaf, coder, path)


def decode(record: bytes, kind: str) -> encoded.Encoded:
  """Inverts `encode`.

  Args:
    record: what it wrote.
    kind: the name of the leaf's class.

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
    return _decode_sparse(reader)
  if layout in (_FLAT, _SPLIT) and cls is encoded.Codebook:
    return _decode_codebook(reader, layout)
  if layout == fields.LAYOUT:
    return fields.decode(reader, cls)
  raise ValueError(f'Unknown layout {layout} of {kind}: a newer file?')


def _encode_sparse(leaf, coder, path):
  mask = np.asarray(fields.host(leaf.mask, path), bool)
  kept = fields.host(leaf.values, path)[mask]
  arrays.check(kept, path)
  head = arrays.head(kept.dtype, mask.shape)
  positions = wire.prefixed(masks.encode(mask, coder))
  return bytes([_SPARSE]) + head + positions + arrays.encode(kept, coder)


def _decode_sparse(reader):
  dtype, shape, _ = arrays.read_head(reader)
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


def _encode_codebook(leaf, coder, path):
  centers, codes = (
    fields.host(leaf.centers, path),
    fields.host(leaf.codes, path),
  )
  arrays.check(centers, path)
  arrays.check(codes, path)
  if codes.size and not 0 <= codes.min() <= codes.max() < centers.size:
    raise ValueError(
      f'{path} has codes in {codes.min()} .. {codes.max()} and {centers.size} '
      f'centers: codes must be in 0 .. {centers.size - 1}.'
    )
  head = wire.prefixed(arrays.encode(centers, coder))
  head += arrays.head(codes.dtype, codes.shape)
  codes = np.ascontiguousarray(codes)
  if codes.dtype.name in ('int4', 'uint4'):
    codes = codes.astype(np.uint8)
  flat = head + streams.encode_stream(codes.reshape(-1), coder)
  letters, counts = streams.histogram(codes.reshape(-1))
  if len(letters) < 2 or 4 * counts.max() < codes.size:
    return bytes([_FLAT]) + flat
  common = int(letters[counts.argmax()])
  mask = np.asarray(codes != common)
  kept = codes[mask]
  split = head + wire.varint(common)
  split += wire.prefixed(masks.encode(mask, coder))
  split += streams.encode_stream(kept - (kept > common), coder)
  if len(split) < len(flat):
    return bytes([_SPLIT]) + split
  return bytes([_FLAT]) + flat


def _decode_codebook(reader, layout):
  centers = arrays.decode(reader.prefixed())
  dtype, shape, _ = arrays.read_head(reader)
  if centers.ndim != 1 or not jnp.issubdtype(dtype, jnp.integer):
    raise ValueError(
      f'Damaged {reader.what}: centers {centers.shape}, codes {dtype}.'
    )
  if layout == _FLAT:
    codes = streams.decode_stream(reader.rest(), math.prod(shape))
    _check_codes(codes, centers, dtype, reader.what)
    codes = codes.astype(dtype, copy=False).reshape(shape)
  else:
    common = reader.varint()
    mask = masks.decode(reader.prefixed(), shape)
    kept = streams.decode_stream(reader.rest(), int(np.count_nonzero(mask)))
    kept = kept.astype(np.int64)  # one more than 255 is not a uint8
    kept += kept >= common
    _check_codes(np.array([common]), centers, dtype, reader.what)
    _check_codes(kept, centers, dtype, reader.what)
    codes = np.full(shape, common, dtype)
    codes[mask] = kept.astype(dtype)
  return fields.make(
    encoded.Codebook, reader.what, centers=centers, codes=codes
  )


def _check_codes(codes, centers, dtype, what):
  largest = int(codes.max()) if codes.size else 0
  if codes.size and largest >= centers.size:
    raise ValueError(
      f'Damaged {what}: code {largest} of {centers.size} centers.'
    )
  if largest > int(jnp.iinfo(dtype).max):
    raise ValueError(f'Damaged {what}: code {largest} is not {dtype}.')
