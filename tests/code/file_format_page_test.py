"""The page on the file format shows bytes that the code writes."""

import dataclasses
import json
import pathlib
import re
import zlib

import numpy as np

import jcompress as jc
from jcompress import encoded
from jcompress.code import frames, header, heads, plain

ROOT = pathlib.Path(jc.__file__).parents[1]
PAGE = (ROOT / 'docs/file_format.md').read_text()


def blocks(language):
  return re.findall(rf'```{language}\n(.*?)```', PAGE, re.S)


def listed(listing):
  """The bytes of a listing; each line begins with the place of its first."""
  shown = b''
  for line in listing.splitlines():
    at, columns = line[:3], line[5:40]
    assert int(at) == len(shown), line
    shown += bytes.fromhex(columns)
  return shown


def test_the_example_gives_the_bytes_of_the_page():
  (source,), listings = blocks('python'), blocks('text')
  names = {}
  exec(source, names)
  shown, inner = map(listed, listings)
  assert shown == names['data'] and f'gives {len(shown)} bytes' in PAGE
  frame = shown[11 : 10 + shown[9] // 2]
  known = header.TYPICAL
  assert frames.inflate(frame, shown[10], 'header', known) == inner
  tree = jc.decode(jc.unpack(shown).tree)
  assert tree['fc2']['bias'].tolist() == [1, -2]
  assert tree['fc2']['kernel'].tolist() == [
    [0.25, 0],
    [0, 0],
    [0, 0],
    [0, -0.5],
  ]
  assert np.count_nonzero(tree['fc1']['kernel']) == 5


def test_types_are_listed_under_their_numbers():
  rows = re.findall(r'^\|(.*)\|$', PAGE, re.M)
  cells = [[cell.strip() for cell in row.split('|')] for row in rows]
  found = {}
  for numbers, names in zip(cells, cells[2:], strict=False):
    if all(map(str.isdigit, numbers)) and len(numbers) == len(names):
      found |= dict(zip(map(int, numbers), names, strict=True))
  assert found == dict(enumerate(heads.DTYPES))


def test_the_dictionary_is_that_of_the_code():
  (typical,) = blocks('json')
  known = plain.dumps(json.loads(typical), 'header')
  assert known == header.TYPICAL
  assert (
    f'{len(known)} bytes, with the CRC-32 `{zlib.crc32(known):08x}`' in PAGE
  )


def test_defaults_are_those_of_the_classes():
  rows = re.findall(r'^\| (\w+) \| (\w+ = \w+(?:, \w+ = \w+)*) \|', PAGE, re.M)
  assert [kind for kind, _ in rows] == ['Quantized', 'Blocks', 'Scaled']
  for kind, stated in rows:
    own = getattr(encoded, kind)
    default = {f.name: f.default for f in dataclasses.fields(own)}
    names = encoded.static_fields(own)
    found = ', '.join(f'{name} = {default[name] or "nil"}' for name in names)
    assert found == stated


def test_limits_and_magic_are_those_of_the_code():
  assert header.MAGIC.hex(' ') in PAGE
  assert header.ENTRIES_A_BYTE == 4096 and header.FREE_ENTRIES == 2**20
  assert header.FREE_INFLATION == 65536 and header.INFLATION == 16
  assert f'version: {header.VERSION}.' in PAGE
