"""The reader in JavaScript gives the arrays that this package gives."""

import functools
import http.server
import json
import pathlib
import random
import shutil
import subprocess
import threading
import zlib

import every_leaf
import jax.numpy as jnp
import numpy as np
import pytest
import signed_files
from browser import dumped, needs_browser

import jcompress as jc
from jcompress import encoded
from jcompress.code import archive, container

FILES = sorted(pathlib.Path(__file__).with_name('files').glob('*.jcz'))
READER = pathlib.Path(jc.__file__).parents[1] / 'docs/reader'
# Their sums are added in another order, or in more bits.
SUMS = 'LowRank', 'Factors', 'HashedFrequencies'
NODE = shutil.which('node')
needs_node = pytest.mark.skipif(not NODE, reason='there is no node')

READ = """
const fs = require('fs');
const [reader, ...paths] = process.argv.slice(1);
const jcz = require(reader + '/jcz.js');
const hex = (x) =>
  Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex');
function read(path) {
  const known = (e) => {
    if (!(e instanceof jcz.JczError)) throw e;
    return { error: e.message };
  };
  let file;
  try {
    file = jcz.open(new Uint8Array(fs.readFileSync(path)));
  } catch (e) {
    return known(e);
  }
  return { metadata: file.metadata, leaves: file.leaves.map((leaf, i) => {
    try {
      const { words, ...rest } = file.decode(i);
      const numbers = Array.from(jcz.numbers({ words, ...rest }), String);
      return { ...leaf, ...rest, hex: hex(words), numbers };
    } catch (e) {
      return { ...leaf, ...known(e) };
    }
  }) };
}
console.log(JSON.stringify(paths.map(read)));
"""


def run(script, *arguments):
  """What a script prints, in node."""
  command = [NODE, '-e', script, str(READER), *map(str, arguments)]
  return json.loads(
    subprocess.run(
      command, capture_output=True, check=True, text=True, timeout=120
    ).stdout
  )


def large():
  """Streams long enough for lanes, several blocks, and the halves of words."""
  rng = np.random.default_rng(1)
  codes = np.minimum(rng.exponential(2, (90, 70)), 30).astype(np.uint8)
  codes[::3] = 0
  wide = rng.integers(0, 2**18, 3000) * rng.integers(0, 2, 3000)
  text = (b'so many words, ' * 900 + rng.bytes(3000)) * 2
  return {
    'codes': encoded.Codebook(jnp.arange(31.0) - 4, jnp.asarray(codes)),
    'kernel': encoded.Codebook(
      jnp.arange(31.0) - 4, jnp.asarray(codes.reshape(3, 3, 10, 70))
    ),
    'none': encoded.Dense(jnp.zeros((0, 3))),
    'one': encoded.Dense(jnp.float32(-0.0)),
    'same': encoded.Quantized(jnp.full((40, 9), -3, jnp.int8), jnp.float32(2)),
    'steps': encoded.Quantized(
      jnp.asarray(codes.astype(np.int16) * 300 - 2000), jnp.float32(0.1)
    ),
    'text': encoded.Dense(np.frombuffer(text[:26000], np.uint64)),
    'wide': encoded.Dense(jnp.asarray(wide, jnp.int32)),
  }


@pytest.fixture(scope='module')
def written(tmp_path_factory):
  """Files of every kind under 'auto', and of some under each coder."""
  folder = tmp_path_factory.mktemp('files')
  some, every = large(), every_leaf.leaves()
  nested = [None, (every['Dense'], {5: every['Sparse'], 'é/': {}})]
  trees = {'every': {**every, 'list': nested}}
  for coder in ('raw', 'huffman', 'zstd', 'ans', 'context', 'fast', 'auto'):
    kinds = 'Codebook', 'Dense_bfloat16', 'Dense_letters', 'Sparse'
    trees[coder] = {**some, **{k: every[k] for k in kinds}}
  found = []
  for name, tree in trees.items():
    coder = name if name != 'every' else 'auto'
    metadata = {'a': 1.5, 'b': [1, 'x', None, True]}
    data = container.pack(tree, coder=coder, metadata=metadata)
    found.append(folder / f'{name}.jcz')
    found[-1].write_bytes(data)
  return found


@needs_node
def test_arrays_are_the_same_bit_for_bit(written):
  paths = [*written, *FILES]
  for path, found in zip(paths, run(READ, *paths), strict=True):
    with archive.open(path) as file:
      assert found['metadata'] == file.metadata
      listed = zip(file.items(), file.leaves, found['leaves'], strict=True)
      for (name, leaf), entry, got in listed:
        where = f'{path.stem} {name}'
        assert 'error' not in got, (where, got['error'])
        assert got['path'] == name and got['kind'] == entry.kind, where
        assert got['size'] == entry.size, where
        wanted = leaf.data if entry.kind == 'Key' else leaf.decode()
        _assert_same(np.asarray(wanted), got, entry.kind, where)


def _assert_same(wanted, got, kind, where):
  assert tuple(got['shape']) == wanted.shape, where
  assert got['dtype'] == wanted.dtype.name, where
  words = np.frombuffer(bytes.fromhex(got['hex']), wanted.dtype)
  words = words.reshape(wanted.shape)
  if kind in SUMS:
    np.testing.assert_allclose(words, wanted, 1e-5, 1e-5, err_msg=where)
  else:
    assert words.tobytes() == wanted.tobytes(), where
  numbers = np.array(got['numbers'], np.float64).reshape(wanted.shape)
  np.testing.assert_array_equal(numbers, words.astype(np.float64), where)


@needs_node
def test_damage_is_refused_with_a_reason(written, tmp_path):
  data = written[-1].read_bytes()
  rng = random.Random(0)
  paths = []
  for i in range(60):
    damaged = bytearray(data)
    if i % 2:
      damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    else:
      del damaged[rng.randrange(len(damaged)) :]
    paths.append(tmp_path / f'{i}.jcz')
    paths[-1].write_bytes(damaged)
  for found in run(READ, *paths):
    errors = [x.get('error') for x in [found, *found.get('leaves', [])]]
    assert any(errors), found


@needs_node
def test_damage_with_right_checksums_gives_arrays_or_a_reason(tmp_path):
  rng = random.Random(0)
  paths, refused = [], 0
  for name, leaf in every_leaf.leaves().items():
    head, body = signed_files.parts(container.pack({'w': leaf}, coder='zstd'))
    for i in range(8):
      damaged = bytearray(body)
      for _ in range(1 + i % 3):
        damaged[rng.randrange(len(body))] = rng.randrange(256)
      paths.append(tmp_path / f'{name}{i}.jcz')
      paths[-1].write_bytes(signed_files.signed(head, bytes(damaged)))
  for found in run(READ, *paths):
    (leaf,) = found['leaves']
    assert ('error' in leaf) != ('hex' in leaf)
    refused += 'error' in leaf
  assert len(paths) / 3 < refused < len(paths)


@needs_node
def test_logarithms_are_those_of_the_model():
  found = run(
    "const codes = require(process.argv[1] + '/codes.js');"
    'console.log(JSON.stringify(Array.from(codes.logarithms())));'
  )
  assert zlib.crc32(np.array(found, '<i4').tobytes()) == 0x7F51DE3B


HARNESS = """<!doctype html><body><iframe id="page" width="360" height="900"
 src="index.html#net.jcz"></iframe><script>
const page = document.getElementById('page');
const timer = setInterval(() => {
  const inner = page.contentDocument;
  const state = inner.body?.dataset.state;
  if (state !== 'done' && state !== 'failed') return;
  clearInterval(timer);
  const out = { state,
    inner: page.contentWindow.innerWidth,
    wide: inner.documentElement.scrollWidth,
    status: inner.getElementById('status').textContent,
    drawn: inner.querySelectorAll('svg rect').length,
    rows: [...inner.querySelectorAll('tbody')].map((body) =>
      [...body.rows[0].cells].map((cell) => cell.textContent)) };
  document.body.innerHTML = '<pre>' + JSON.stringify(out) + '</pre>';
}, 20);
</script></body>"""


@needs_browser
def test_the_page_lists_leaves_and_fits_a_phone(tmp_path):
  for path in READER.iterdir():
    shutil.copy(path, tmp_path)
  (tmp_path / 'frame.html').write_text(HARNESS)
  long = 'encoder_layers_attention_output_projection_' * 2
  leaves = every_leaf.leaves()
  tree = {long: {k: leaves[k] for k in ('Codebook', 'Dense', 'Key')}}
  jc.save(tmp_path / 'net.jcz', tree, metadata={'note': 'x' * 300})
  handler = functools.partial(_Quiet, directory=tmp_path)
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}/frame.html'
    found = dumped(url, tmp_path)
    server.shutdown()
  assert found['state'] == 'done' and '3 leaves' in found['status']
  with archive.open(tmp_path / 'net.jcz') as file:
    sizes = [leaf.size for leaf in file.leaves]
  assert found['rows'] == [
    [f'{long}/Codebook', 'Codebook', '[18, 21]', 'float32', str(sizes[0])],
    [f'{long}/Dense', 'Dense', '[17, 5]', 'float32', str(sizes[1])],
    [f'{long}/Key', 'Key', '[]', '', str(sizes[2])],
  ]
  assert found['inner'] == 360 >= found['wide']
  assert found['drawn'] > 20


class _Quiet(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *args):
    pass
