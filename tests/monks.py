"""The MONK's problems of Thrun et al., CMU-CS-91-197: 432 points, 3 rules."""

import itertools
from typing import NamedTuple

import numpy as np

LEVELS = (3, 3, 2, 3, 4, 2)  # values of the attributes a1 .. a6

# Bit i, counted from 0, is set where row i is in the training set.
_TRAINING = {
  1: 'aa00e18ea0854500230082810828090809032007209211014004e1'
  'ab201c48909840db30c5ea08da444438e00884b19602500c240030',
  2: '853501002035a12d3935063a8e04f92bea40b0259646b1238d19e9'
  '701190ab84496a081904a270986c3af35044fb7a020ad003445748',
  3: 'a128034d806061022802104801a00482801585904a102d10403208'
  'b906a00240086803c340a0871160440d0d906f1c1033c88800895e',
}
_FLIPPED = {1: [], 2: [], 3: [4, 60, 202, 212, 213, 390]}


class Monk(NamedTuple):
  """One problem; the inputs are one-hot, the labels 0 and 1."""

  train_x: np.ndarray  # [124, 169 or 122, 17], float32
  train_y: np.ndarray
  test_x: np.ndarray  # [432, 17], float32
  test_y: np.ndarray


def load(problem):
  """Loads MONK's problem 1, 2 or 3."""
  a = np.array(list(itertools.product(*(range(1, n + 1) for n in LEVELS))))
  labels = {
    1: (a[:, 0] == a[:, 1]) | (a[:, 4] == 1),
    2: (a == 1).sum(1) == 2,
    3: ((a[:, 4] == 3) & (a[:, 3] == 1)) | ((a[:, 4] != 4) & (a[:, 1] != 3)),
  }[problem]
  x = np.concatenate(
    [a[:, [i]] == np.arange(1, n + 1) for i, n in enumerate(LEVELS)], 1
  ).astype(np.float32)
  mask = int(_TRAINING[problem], 16)
  rows = [i for i in range(len(a)) if mask >> i & 1]
  noisy = labels.copy()
  noisy[_FLIPPED[problem]] ^= True
  y = labels.astype(np.float32)
  return Monk(x[rows], noisy[rows].astype(np.float32), x, y)
