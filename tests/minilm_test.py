"""What compression without training does to a real sentence encoder."""

import jax
import numpy as np
import pytest

import jcompress as jc
from jcompress import tree
from jcompress.experiments import minilm, wordpiece
from jcompress.experiments.sentences import CALIBRATION, SENTENCES


@pytest.fixture(autouse=True, scope='module')
def _wheel():
  try:
    minilm.file('model.safetensors')
  except ValueError as error:
    pytest.skip(str(error))


@pytest.fixture(scope='module')
def original():
  model, params = minilm.model(), minilm.params()
  tokens = minilm.tokens(SENTENCES)
  return model, params, tokens, minilm.embed(model, params, tokens)


def after(original, comp):
  """Mean cosine to the embeddings of before, and bits a weight in the file."""
  model, params, tokens, before = original
  kernels, rest = tree.split(jc.KERNELS, params)
  data = jc.pack(comp.encode(*comp.init(kernels)))
  shipped = tree.join(jc.decode(jc.unpack(data).tree), rest)
  now = minilm.embed(model, shipped, tokens)
  size = sum(w.size for w in jax.tree.leaves(kernels))
  return float((before * now).sum(-1).mean()), 8 * len(data) / size


def test_the_similarities_are_those_that_the_authors_print():
  # https://sbert.net/docs/sentence_transformer/usage/usage.html
  model, params = minilm.model(), minilm.params()
  e = minilm.embed(
    model,
    params,
    minilm.tokens(
      [
        'The weather is lovely today.',
        "It's so sunny outside!",
        'He drove to the stadium.',
      ]
    ),
  )
  want = [[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]
  np.testing.assert_allclose(e @ e.T, want, atol=5.1e-5)


def test_each_sentence_is_nearest_to_the_one_that_says_the_same(original):
  e = original[-1]
  cosines = np.array(e @ e.T)
  other = np.arange(len(e)) ^ 1
  same = cosines[np.arange(len(e)), other]
  np.fill_diagonal(cosines, -1)
  np.testing.assert_array_equal(cosines.argmax(1), other)
  cosines[np.arange(len(e)), other] = np.nan
  assert np.nanmean(cosines) < 0.1 < 0.5 < same.mean()


def test_unknown_words_are_split_into_known_pieces():
  known = minilm.vocabulary()
  pieces = lambda word: wordpiece.pieces(word, known)
  assert pieces('unaffable') == ['una', '##ffa', '##ble']
  assert pieces('embeddings') == ['em', '##bed', '##ding', '##s']
  assert pieces('\u2603') == ['[UNK]']
  ids, mask = minilm.tokens(['Hello, world!', 'Hello'])
  np.testing.assert_array_equal(
    ids, [[101, 7592, 1010, 2088, 999, 102], [101, 7592, 102, 0, 0, 0]]
  )
  np.testing.assert_array_equal(mask, ids > 0)


@pytest.mark.slow
@pytest.mark.parametrize(
  'bits, axis, low, high',
  [
    (8, -1, 0.999, 1),
    (4, -1, 0.88, 0.95),
    (3, -1, 0.5, 0.75),
    (8, None, 0.95, 0.99),
    (4, None, 0.2, 0.6),
  ],
)
def test_one_scale_a_tensor_costs_far_more_than_one_a_unit(
  original, bits, axis, low, high
):
  """A few weights of a tensor are up to 170 standard deviations large."""
  cosine, stored = after(original, jc.linear_quantize(bits, axis=axis))
  assert low < cosine < high
  assert stored < bits


@pytest.mark.slow
def test_four_bits_in_tiles_of_32_keep_what_sentences_mean(original):
  # Tiles of one input and 32 units: the large weights are those of few inputs.
  comp = jc.linear_quantize(4, axis=0, symmetric=False, tile=32)
  cosine, stored = after(original, comp)
  assert cosine >= 0.98
  assert stored < 4.75


@pytest.mark.slow
def test_three_bits_are_best_spent_where_the_inputs_are_large(original):
  model, params, _, _ = original
  h = minilm.importance(model, params, minilm.tokens(CALIBRATION))
  linear, _ = after(original, jc.linear_quantize(3))
  plain, _ = after(original, jc.kmeans_share(k=8))
  weighted, stored = after(original, minilm.codebooks(8, params, h))
  assert linear + 0.15 < plain < weighted - 0.02
  assert weighted > 0.85
  assert stored < 2.7
