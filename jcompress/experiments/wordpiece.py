"""Sentences as tokens: words, and pieces of words that are not known."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int


class Tokens(NamedTuple):
  """Rows of one length, filled up with token 0.

  Attributes:
    ids: of the tokens.
    mask: what is not filling.
  """

  ids: Int[np.ndarray, 'batch tokens']
  mask: Bool[np.ndarray, 'batch tokens']


def tokens(sentences: Sequence[str], known: Mapping[str, int]) -> Tokens:
  """Tokens of sentences, each between `[CLS]` and `[SEP]`.

  Args:
    sentences: one or more.
    known: the vocabulary, `[CLS]`, `[SEP]` and `[UNK]` among it.
  """
  inner = [[p for w in split(s) for p in pieces(w, known)] for s in sentences]
  rows = [[known[p] for p in ('[CLS]', *row, '[SEP]')] for row in inner]
  width = max(map(len, rows))
  ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int32)
  return Tokens(ids, np.arange(width) < np.array([[len(r)] for r in rows]))


def split(text: str) -> list[str]:
  """Words and marks: lower case, without accents, punctuation by itself.

  >>> split("It's  a Café-Crème!")
  ['it', "'", 's', 'a', 'cafe', '-', 'creme', '!']
  """
  text = unicodedata.normalize('NFD', text.lower())
  text = ''.join(c for c in text if unicodedata.category(c) != 'Mn')
  is_mark = lambda c: (
    unicodedata.category(c)[0] == 'P' or (c.isascii() and c in '$+<=>^`|~')
  )
  return ''.join(f' {c} ' if is_mark(c) else c for c in text).split()


def pieces(word: str, known: Mapping[str, int]) -> list[str]:
  """The longest known start of the word, then of what is left.

  >>> pieces('unaffable', {'un': 0, '##aff': 1, '##able': 2, '##a': 3})
  ['un', '##aff', '##able']
  """
  found: list[str] = []
  start = 0
  while start < len(word):
    prefix = '##' if start else ''
    ends = range(len(word), start, -1)
    end = next((e for e in ends if prefix + word[start:e] in known), None)
    if end is None:
      return ['[UNK]']
    found.append(prefix + word[start:end])
    start = end
  return found
