"""Sentences that nobody wrote: tokens drawn as often as they might occur.

Statistics of a network need inputs that are like real ones, not real ones: the
vocabulary alone says about how frequent its words are, since it lists them in
that order.
"""

import itertools
import string
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from jcompress.experiments import minilm
from jcompress.experiments.wordpiece import Tokens

_SHIFT = 2.7
_SIGNS = 20  # the rank that punctuation and digits are given
_FIRST = 'the'  # of the words; signs and what is never used come before


def frequencies() -> Float[np.ndarray, ' tokens']:
  """A guess at how often each token of the vocabulary occurs; adds up to 1.

  `1 / (rank + 2.7)` of the words and pieces in the order of the vocabulary.

  References:
    Mandelbrot, An Informational Theory of the Statistical Structure of
      Language, 1953.
  """
  known = minilm.vocabulary()
  ranks = np.arange(len(known)) - known[_FIRST] + 1.0
  ranks[: known[_FIRST]] = np.inf
  for sign in set(string.punctuation + string.digits) & known.keys():
    ranks[known[sign]] = _SIGNS
  found = 1 / (ranks + _SHIFT)
  return found / found.sum()


def sentences(
  seed: int = 0, count: int = 64, length: int = 24
) -> Iterator[Tokens]:
  """Batches of such sentences, without end; the same for the same seed.

  Args:
    seed: of the draws.
    count: of a batch.
    length: in tokens.
  """
  known, share = minilm.vocabulary(), frequencies()
  for i in itertools.count():
    draw = np.random.default_rng((seed, i))
    ids = draw.choice(len(share), (count, length), p=share)
    ids[:, 0], ids[:, -1] = known['[CLS]'], known['[SEP]']
    yield Tokens(ids, np.ones(ids.shape, ids.dtype))
