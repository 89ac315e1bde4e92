"""Docstrings as the pages show them: doctests as code, one source a line."""

import re
from typing import Any

import griffe

_DOCTEST = re.compile(r'^( *)>>> .*(?:\n\1(?!\s*$).*)*', re.M)
_REFERENCES = re.compile(r'^References:\n((?: +.*\n?|\n)+)', re.M)


class AsShown(griffe.Extension):
  """Changes the docstring of each object when it has been read."""

  def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
    """Called by griffe for each object."""
    del kwargs
    if obj.docstring is not None:
      obj.docstring.value = as_shown(obj.docstring.value)


def as_shown(text: str) -> str:
  """A docstring in which Markdown sees what a reader does.

  >>> print(as_shown('Adds.\\n\\n>>> 1 + 1\\n2'))
  Adds.
  <BLANKLINE>
  ```pycon
  >>> 1 + 1
  2
  ```
  """
  text = _DOCTEST.sub(lambda m: f'{m[1]}```pycon\n{m[0]}\n{m[1]}```', text)
  apart = lambda m: m[0].replace('.\n', '.\n\n')
  return _REFERENCES.sub(apart, text)
