"""How each kind of encoded leaf becomes bytes.

`Sparse` and `Codebook` have layouts of their own: the positions of what is kept
(or of the codes that are not the commonest one) and the values at them. Every
other kind is written field by field, static fields as plain values; a kind
added later needs nothing here, it is found by its name among the subclasses of
`encoded.Encoded`.

A record is one byte (the layout) and the layout's streams.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import encoded
from jcompress import tree as tree_lib
from jcompress.code import arrays, masks, plain, streams, wire

_FIELDS, _SPARSE, _FLAT, _SPLIT, _PADDED = 0, 1, 2, 3, 128


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
  return _encode_fields(leaf, coder, path)


def decode(record: bytes, kind: str) -> encoded.Encoded:
  """Inverts `encode`.

  Args:
    record: what it wrote.
    kind: the name of the leaf's class.

  Raises:
    ValueError: the record is damaged, or the class is not known.
  """
  cls = _class(kind)
  reader = wire.Reader(record, f'{kind} leaf')
  layout = reader.byte()
  if layout & _PADDED:
    reader.take(reader.varint())
  layout &= ~_PADDED
  if layout == _SPARSE and cls is encoded.Sparse:
    return _decode_sparse(reader)
  if layout in (_FLAT, _SPLIT) and cls is encoded.Codebook:
    return _decode_codebook(reader, layout)
  if layout == _FIELDS:
    return _decode_fields(reader, cls)
  raise ValueError(f'Unknown layout {layout} of {kind}: a newer file?')


def _encode_sparse(leaf, coder, path):
  mask = np.asarray(_host(leaf.mask, path), bool)
  kept = _host(leaf.values, path)[mask]
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
  return _make(encoded.Sparse, reader.what, values=values, mask=mask)


def _is_scalar_codebook(leaf):
  return leaf.centers.ndim == 1 and jnp.issubdtype(
    leaf.codes.dtype, jnp.integer
  )


def _encode_codebook(leaf, coder, path):
  centers, codes = _host(leaf.centers, path), _host(leaf.codes, path)
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
    kept = kept + (kept >= common)
    _check_codes(np.array([common]), centers, dtype, reader.what)
    _check_codes(kept, centers, dtype, reader.what)
    codes = np.full(shape, common, dtype)
    codes[mask] = kept.astype(dtype)
  return _make(encoded.Codebook, reader.what, centers=centers, codes=codes)


def _check_codes(codes, centers, dtype, what):
  largest = int(codes.max()) if codes.size else 0
  if codes.size and largest >= centers.size:
    raise ValueError(
      f'Damaged {what}: code {largest} of {centers.size} centers.'
    )
  if largest > int(jnp.iinfo(dtype).max):
    raise ValueError(f'Damaged {what}: code {largest} is not {dtype}.')


def _encode_fields(leaf, coder, path):
  cls = type(leaf)
  if _class(cls.__name__) is not cls:
    raise ValueError(
      f'{path} is a {cls.__module__}.{cls.__name__}, and a later class has '
      'this name: rename one of them.'
    )
  body = b''
  if encoded.static_fields(cls):
    static = [
      _to_plain(getattr(leaf, name), f'{path}.{name}')
      for name in encoded.static_fields(cls)
    ]
    body += wire.prefixed(plain.dumps(static, f'{path} static fields'))
  for name in encoded.data_fields(cls):
    value = getattr(leaf, name)
    part = b''
    if value is not None:
      where = path if cls is encoded.Dense else f'{path}.{name}'
      value = _host(value, where)
      arrays.check(value, where)
      part = arrays.encode(value, coder)
    body += wire.prefixed(part)
  short = -(-_decoded_size(leaf, path) // streams.SYMBOLS_A_BYTE) - len(body)
  if short > 1:
    head = bytes([_FIELDS | _PADDED]) + wire.varint(short) + b'\0' * short
    return head + body
  return bytes([_FIELDS]) + body


def _decode_fields(reader: wire.Reader, cls: Any) -> encoded.Encoded:
  fields: dict[str, Any] = {}
  names = encoded.static_fields(cls)
  if names:
    static = plain.loads(reader.prefixed(), f'{reader.what} static fields')
    if type(static) is not list or len(static) != len(names):
      raise ValueError(
        f'Damaged {reader.what}: static fields {names} wanted. Another version '
        f'of {cls.__name__} wrote it?'
      )
    fields = {n: _from_plain(v) for n, v in zip(names, static, strict=True)}
  for name in encoded.data_fields(cls):
    part = reader.prefixed()
    fields[name] = arrays.decode(part) if part else None
  reader.end()
  leaf = _make(cls, reader.what, **fields)
  size = _decoded_size(leaf, reader.what)
  streams.check_count(size, len(reader.data), reader.what)
  return leaf


def _make(cls: Any, what: str, **fields: Any) -> Any:
  """Builds a leaf of arrays on the device."""
  fields = {
    name: arrays.to_device(x) if isinstance(x, np.ndarray) else x
    for name, x in fields.items()
  }
  try:
    return cls(**fields)
  except (TypeError, ValueError, AttributeError) as e:
    raise ValueError(f'Damaged {what}: {e}') from e


def _decoded_size(leaf, what) -> int:
  """Entries of the decoded array, found without computing it."""
  if type(leaf) is encoded.Dense:
    return getattr(leaf.values, 'size', 0)
  try:
    return jax.eval_shape(leaf.decode).size
  except jax.errors.JAXTypeError:
    return 0
  except Exception as e:
    raise ValueError(
      f'{what}: this {type(leaf).__name__} does not decode: {e}'
    ) from e


def _class(kind: str) -> type[encoded.Encoded]:
  """The subclass of `Encoded` of this name."""
  known: dict[str, list[type[encoded.Encoded]]] = {}
  todo: list[type[encoded.Encoded]] = [encoded.Encoded]
  while todo:
    for sub in todo.pop().__subclasses__():
      known.setdefault(sub.__name__, []).append(sub)
      todo.append(sub)
  if kind not in known:
    raise ValueError(
      f'Unknown kind of leaf {kind!r}: known are {sorted(known)}. Import the '
      'module that defines it first.'
    )
  return known[kind][-1]


def _to_plain(value, what):
  if type(value) is tuple:
    return [_to_plain(v, what) for v in value]
  if isinstance(value, np.dtype):
    return {'dtype': value.name}
  if value is None or type(value) in (bool, int, float, str, bytes):
    return value
  raise ValueError(
    f'{what} is a static field of type {type(value).__name__}: it must be '
    'None, bool, int, float, str, bytes, a dtype, or a tuple of these.'
  )


def _from_plain(value):
  if type(value) is list:
    return tuple(_from_plain(v) for v in value)
  if type(value) is dict:
    name = value.get('dtype')
    if len(value) != 1 or name not in arrays.DTYPES:
      raise ValueError(f'Damaged static field: {value}.')
    return jnp.dtype(name)
  return value


def _host(x, path) -> np.ndarray:
  if isinstance(x, jax.core.Tracer):
    raise ValueError(f'{path} is traced: pack outside jit.')
  if not isinstance(x, (jax.Array, np.ndarray, np.generic, bool, int, float)):
    raise ValueError(
      f'{path} is of type {type(x).__name__}: it must be an array.'
    )
  if isinstance(x, (bool, int, float)):
    x = jnp.asarray(x)
  if jnp.issubdtype(x.dtype, jax.dtypes.extended):
    raise ValueError(
      f'{path} has dtype {x.dtype}: convert it by jax.random.key_data.'
    )
  return tree_lib.to_host(x)
