import itertools

import numpy as np
import pytest

from jcompress.experiments import minilm, zipf


@pytest.fixture(autouse=True, scope='module')
def _wheel():
  try:
    minilm.file('vocab.txt')
  except ValueError as error:
    pytest.skip(str(error))


def test_words_are_as_frequent_as_their_place_in_the_vocabulary_says():
  share, known = zipf.frequencies(), minilm.vocabulary()
  assert share.sum() == pytest.approx(1) and (share >= 0).all()
  assert share[known['the']] / share[known['of']] == pytest.approx(4.7 / 3.7)
  assert share[known['[unused7]']] == share[known['[SEP]']] == 0
  assert share[known['.']] == share[known['7']] > share[known['sweater']]


def test_batches_go_on_and_are_those_of_the_seed():
  first = list(itertools.islice(zipf.sentences(3, count=8), 3))
  again = list(itertools.islice(zipf.sentences(3, count=8), 3))
  for a, b in zip(first, again, strict=True):
    np.testing.assert_array_equal(a.ids, b.ids)
  assert (first[0].ids != first[1].ids).any()
  assert first[0].ids.shape == first[0].mask.shape == (8, 24)
  assert (first[0].ids[:, 0] == minilm.vocabulary()['[CLS]']).all()
  ids = np.concatenate([t.ids.ravel() for t in first])
  counts = np.bincount(ids, minlength=2000)
  assert counts[minilm.vocabulary()['the']] > 5
