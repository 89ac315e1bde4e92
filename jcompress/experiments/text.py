"""A text as characters in memory."""

import importlib
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32


class Text(NamedTuple):
  """A text, each character as its place in the alphabet.

  Attributes:
    name: as `load` takes it.
    alphabet: its characters, sorted.
    train: `[n]`, `0 .. len(alphabet) - 1`.
    test: `[m]`, the end of the text.
  """

  name: str
  alphabet: str
  train: Int32[np.ndarray, ' n']
  test: Int32[np.ndarray, ' m']


def load(
  name: str, test_share: float = 0.1, alphabet: str | None = None
) -> Text:
  """Loads a text.

  Args:
    name: `'python_topics'`, see there, or the path of a file of text that ends
      in `.txt`, in UTF-8.
    test_share: what share of it is the test set, at its end.
    alphabet: that of a trained model, by which the text is read.

  Raises:
    ValueError: there is no such text; `test_share` outside `0 .. 1`; the text
      has characters that are not of the alphabet.
  """
  text = _load(name, test_share)
  if alphabet is None or alphabet == text.alphabet:
    return text
  unknown = sorted(set(text.alphabet) - set(alphabet))
  if unknown:
    raise ValueError(
      f'The text {name!r} has the characters {"".join(unknown)!r}, which are '
      f'not of the alphabet {alphabet!r}.'
    )
  places = np.array([alphabet.index(c) for c in text.alphabet], np.int32)
  return Text(name, alphabet, places[text.train], places[text.test])


def _load(name, test_share):
  if name == 'python_topics':
    return python_topics(test_share)
  if not name.endswith('.txt') or not pathlib.Path(name).is_file():
    raise ValueError(
      f"No text {name!r}; give 'python_topics' or the path of a .txt file."
    )
  contents = pathlib.Path(name).read_text(encoding='utf-8')
  return encode_text(contents, test_share, name)


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
  return encode_text(text, test_share, 'python_topics')


def encode_text(text: str, test_share: float = 0.1, name: str = '') -> Text:
  """Numbers the characters of a text and splits off its end.

  >>> encode_text('abcab', 0.4)
  Text(name='', alphabet='abc', train=array([0, 1, 2], dtype=int32), \
test=array([0, 1], dtype=int32))

  Args:
    text: what is to be learned.
    test_share: what share of it is the test set.
    name: of the text.

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
  return Text(name, ''.join(map(chr, found)), codes[:cut], codes[cut:])
