"""The page on the file format shows bytes that the code writes."""

import pathlib
import re

import numpy as np

import jcompress as jc
from jcompress.code import arrays, header

ROOT = pathlib.Path(jc.__file__).parents[1]
PAGE = (ROOT / 'docs/file_format.md').read_text()


def blocks(language):
  return re.findall(rf'```{language}\n(.*?)```', PAGE, re.S)


def test_the_example_gives_the_bytes_of_the_page():
  (source,), (listing,) = blocks('python'), blocks('text')
  names = {}
  exec(source, names)
  shown = b''
  for line in listing.splitlines():
    at, columns = line[:3], line[5:40]
    assert int(at) == len(shown), line
    shown += bytes.fromhex(columns)
  assert shown == names['data'] and f'gives {len(shown)} bytes' in PAGE
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
  assert found == dict(enumerate(arrays.DTYPES))


def test_limits_and_magic_are_those_of_the_code():
  assert header.MAGIC.hex(' ') in PAGE
  assert header.ENTRIES_A_BYTE == 4096 and header.FREE_ENTRIES == 2**20
  assert header.FREE_INFLATION == 65536 and header.INFLATION == 16
  assert f'version: {header.VERSION}.' in PAGE
