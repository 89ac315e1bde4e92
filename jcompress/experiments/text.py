"""A text as characters in memory, cut into streams of sequences."""

import importlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32


class Text(NamedTuple):
  """A text, each character as its place in the alphabet.

  Attributes:
    alphabet: its characters, sorted.
    train: `[n]`, `0 .. len(alphabet) - 1`.
    test: `[m]`, the end of the text.
  """

  alphabet: str
  train: Int32[np.ndarray, ' n']
  test: Int32[np.ndarray, ' m']


def python_topics(test_share: float = 0.1) -> Text:
  """The help texts on topics of the language that Python brings along.

  About half a million characters of technical English, `help('LOOPING')` and
  the like; the exact text depends on the version of Python.

  Args:
    test_share: what share of it is the test set, at its end.

  Raises:
    ValueError: `test_share` outside `0 .. 1`, or this Python has no such texts.
  """
  try:
    topics = importlib.import_module('pydoc_data.topics').topics
  except ImportError as error:
    raise ValueError(
      'This Python was installed without pydoc_data.topics; use encode_text() '
      'on another text.'
    ) from error
  text = '\n'.join(topics[name] for name in sorted(topics))
  return encode_text(text, test_share)


def encode_text(text: str, test_share: float = 0.1) -> Text:
  """Numbers the characters of a text and splits off its end.

  >>> encode_text('abcab', 0.4)
  Text(alphabet='abc', train=array([0, 1, 2], dtype=int32), test=array([0, 1], \
dtype=int32))

  Args:
    text: what is to be learned.
    test_share: what share of it is the test set.

  Raises:
    ValueError: `test_share` outside `0 .. 1`, or an empty text.
  """
  if not 0 <= test_share < 1 or not text:
    raise ValueError(
      f'{test_share=} must lie in 0 .. 1, below 1, and the text of {len(text)} '
      'characters must not be empty.'
    )
  letters = np.frombuffer(text.encode('utf-32-le'), np.uint32)
  found, codes = np.unique(letters, return_inverse=True)
  codes = codes.astype(np.int32)
  cut = len(codes) - round(len(codes) * test_share)
  return Text(''.join(map(chr, found)), codes[:cut], codes[cut:])


def sequences(
  codes: Int32[np.ndarray, ' n'], batch_size: int, length: int
) -> Iterator[dict[str, np.ndarray]]:
  """Yields one epoch of sequences, each with the characters that come next.

  The text is cut into `batch_size` streams. Row `i` of a batch continues row
  `i` of the batch before it, so that the state of a recurrent network may be
  kept. What does not fill a batch at the end of a stream is dropped.

  Args:
    codes: of a text.
    batch_size: streams, positive.
    length: characters of each in one batch, positive.

  Yields:
    `{'input': int32 [batch_size, length], 'target': the same, one later}`.

  Raises:
    ValueError: the text does not fill one batch.
  """
  if batch_size < 1 or length < 1 or len(codes) < batch_size * length + 1:
    raise ValueError(
      f'{batch_size=} and {length=} must be positive, and a batch takes '
      f'{batch_size * length + 1} characters; the text has {len(codes)}.'
    )
  return _sequences(codes, batch_size, length)


def _sequences(codes, batch_size, length):
  each = (len(codes) - 1) // batch_size
  inputs = codes[: each * batch_size].reshape(batch_size, each)
  targets = codes[1 : each * batch_size + 1].reshape(batch_size, each)
  for start in range(0, each - length + 1, length):
    part = slice(start, start + length)
    yield {'input': inputs[:, part], 'target': targets[:, part]}
