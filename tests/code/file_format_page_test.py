"""The page of the format: its example is what is written."""

import pathlib
import re

import jax.numpy as jnp
import numpy as np

import jcompress as jc
from jcompress import encoded
from jcompress.code import arrays

PAGE = pathlib.Path(__file__).parents[2] / 'docs/file_format.md'


def test_the_example_is_what_pack_gives():
  codes = np.array([[0, 2, 0, 0], [0, 0, 0, 1], [2, 0, 0, 0]], np.uint8)
  centers = jnp.asarray([0, -1, 1], jnp.float32)
  tree = {
    'fc': {
      'bias': encoded.Dense(jnp.asarray([0.5, 0], jnp.float32)),
      'kernel': encoded.Codebook(centers, jnp.asarray(codes)),
    }
  }
  data = jc.pack(tree, metadata={'step': 7})
  block = PAGE.read_text().split('```')[1]
  shown = []
  for line in block.strip().splitlines():
    found = re.match(r'\s*((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:\s\s|$)', line)
    shown += found[1].split()
  assert bytes.fromhex(''.join(shown)) == data
  assert f'in {len(data)} bytes' in PAGE.read_text()


def test_dtypes_are_listed_in_their_order():
  text = re.sub(r'\s+', ' ', PAGE.read_text())
  assert ', '.join(arrays.DTYPES) in text
