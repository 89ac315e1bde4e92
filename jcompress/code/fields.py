"""Any encoded leaf field by field, and the way back to a leaf.

Arrays become array records, static fields plain values. A kind of leaf that is
added later needs nothing here: it is found by its name among the subclasses of
`encoded.Encoded`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jcompress import encoded
from jcompress import tree as tree_lib
from jcompress.code import arrays, forms, heads, plain, streams, wire

LAYOUT, PADDED = 0, 128
_DTYPE = 0  # the key of a map that stands for a dtype


def encode(leaf: encoded.Encoded, coder: str, path: str) -> bytes:
  """Writes one leaf of any kind.

  Raises:
    ValueError: NaN or inf, or a field that a file cannot hold; it names `path`.
  """
  cls = type(leaf)
  if find_class(cls.__name__) is not cls:
    raise ValueError(
      f'{path} is a {cls.__module__}.{cls.__name__}, and a later class has '
      'this name: rename one of them.'
    )
  body = write(leaf, encoded.data_fields(cls), coder, path)
  size = forms.decoded_size(leaf, path)
  short = -(-size // streams.SYMBOLS_A_BYTE) - len(body)
  if short > 1:
    head = bytes([LAYOUT | PADDED]) + wire.varint(short) + b'\0' * short
    return head + body
  return bytes([LAYOUT]) + body


def decode(reader: wire.Reader, cls: Any) -> encoded.Encoded:
  """Reads a leaf of a class.

  Raises:
    ValueError: the record is damaged, or of another version of the class.
  """
  fields = read(reader, cls, encoded.data_fields(cls))
  reader.end()
  leaf = make(cls, reader.what, **fields)
  size = forms.decoded_size(leaf, reader.what)
  streams.check_count(size, len(reader.data), reader.what)
  return leaf


def write(
  leaf: encoded.Encoded, names: Sequence[str], coder: str, path: str
) -> bytes:
  """Writes the static fields of a leaf and some of its arrays.

  Raises:
    ValueError: NaN or inf, or a field that a file cannot hold; it names `path`.
  """
  cls = type(leaf)
  body = b''
  if encoded.static_fields(cls):
    body += wire.prefixed(_write_static(leaf, path))
  for name in names:
    value = getattr(leaf, name)
    where = path if cls is encoded.Dense else f'{path}.{name}'
    if name in encoded.several_fields(cls):
      parts = [
        _write_array(x, cls, coder, f'{where}[{i}]')
        for i, x in enumerate(value)
      ]
      part = b''.join(map(wire.prefixed, parts))
    else:
      part = _write_array(value, cls, coder, where)
    body += wire.prefixed(part)
  return body


def _write_static(leaf, path):
  """Nothing if all are the defaults of the class."""
  names = encoded.static_fields(type(leaf))
  values = {name: getattr(leaf, name) for name in names}
  defaults = {field.name: field.default for field in dataclasses.fields(leaf)}
  if all(repr(v) == repr(defaults[name]) for name, v in values.items()):
    return b''
  static = [_to_plain(v, f'{path}.{name}') for name, v in values.items()]
  return plain.dumps(static, f'{path} static fields')


def _write_array(value, cls, coder, where):
  if value is None:
    return b''
  value = host(value, where)
  arrays.check(value, where, finite=cls is not encoded.Dense)
  return arrays.encode(value, coder)


def read(reader: wire.Reader, cls: Any, names: Sequence[str]) -> dict[str, Any]:
  """Inverts `write`.

  Raises:
    ValueError: the record is damaged, or of another version of the class.
  """
  fields: dict[str, Any] = {}
  static_names = encoded.static_fields(cls)
  part = reader.prefixed() if static_names else b''
  if part:
    static = plain.loads(part, f'{reader.what} static fields')
    if type(static) is not list or len(static) != len(static_names):
      raise ValueError(
        f'Damaged {reader.what}: static fields {static_names} wanted. Another '
        f'version of {cls.__name__} wrote it?'
      )
    values = [_from_plain(v) for v in static]
    fields = dict(zip(static_names, values, strict=True))
  for name in names:
    part = reader.prefixed()
    if name in encoded.several_fields(cls):
      inner, found = wire.Reader(part, reader.what), []
      while inner.left():
        found.append(arrays.decode(inner.prefixed()))
      fields[name] = tuple(found)
    else:
      fields[name] = arrays.decode(part) if part else None
  return fields


def make(cls: Any, what: str, **fields: Any) -> Any:
  """Builds a leaf of arrays on the device.

  Raises:
    ValueError: the class does not take these fields, or one is an empty array
      of too many rows.
  """
  for x in fields.values():
    for y in x if isinstance(x, tuple) else [x]:
      forms.check_rows(y, what)
  fields = {name: _to_device(x) for name, x in fields.items()}
  try:
    return cls(**fields)
  except (TypeError, ValueError, AttributeError) as e:
    raise ValueError(f'Damaged {what}: {e}') from e


def _to_device(x):
  if isinstance(x, tuple):
    return tuple(map(_to_device, x))
  return arrays.to_device(x) if isinstance(x, np.ndarray) else x


def find_class(kind: str) -> type[encoded.Encoded]:
  """The subclass of `Encoded` of this name; the last one defined.

  Raises:
    ValueError: there is none.
  """
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
  if isinstance(value, np.dtype) and value.name in heads.DTYPES:
    return {_DTYPE: heads.DTYPES.index(value.name)}
  if value is None or type(value) in (bool, int, float, str, bytes):
    return value
  raise ValueError(
    f'{what} is a static field of type {type(value).__name__}: it must be '
    'None, bool, int, float, str, bytes, a dtype of arrays, or a tuple of '
    'these.'
  )


def _from_plain(value):
  if type(value) is list:
    return tuple(_from_plain(v) for v in value)
  if type(value) is dict:
    number, name = value.get(_DTYPE), value.get('dtype')  # name: before 4
    if type(number) is int and 0 <= number < len(heads.DTYPES):
      name = heads.DTYPES[number]
    if len(value) != 1 or name not in heads.DTYPES:
      raise ValueError(f'Damaged static field: {value}.')
    return jnp.dtype(name)
  return value


def host(x: Any, path: str) -> np.ndarray:
  """A field as a NumPy array.

  Raises:
    ValueError: it is not an array, traced, or an empty array of too many rows;
      it names `path`.
  """
  if isinstance(x, jax.core.Tracer):
    raise ValueError(f'{path} is traced: pack outside jit.')
  if not isinstance(x, (jax.Array, np.ndarray, np.generic, bool, int, float)):
    raise ValueError(
      f'{path} is of type {type(x).__name__}: it must be an array.'
    )
  if isinstance(x, (bool, int, float)):
    x = jnp.asarray(x)
  forms.check_rows(x, path)
  if jnp.issubdtype(x.dtype, jax.dtypes.extended):
    raise ValueError(
      f'{path} has dtype {x.dtype}: convert it by jax.random.key_data.'
    )
  return tree_lib.to_host(x)
