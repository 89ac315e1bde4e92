"""One record for each distinct leaf: tied leaves share theirs.

Leaves of one codebook but other codes share that, see `shared`.

Tied are leaves of the same arrays, and leaves of equal content, since `jit`
gives each leaf an array of its own. Only constant ones are not tied by content:
two biases of zeros are two biases.
"""

import jax

from jcompress import encoded, tree
from jcompress.code import layouts, shared


class Records:
  """Collects the records of leaves.

  Attributes:
    all: kind and record of each distinct leaf, in the order of their numbers.
    shares_centers: whether a record has the centers of an earlier one.
  """

  def __init__(self, coder: str):
    self.all: list[tuple[str, bytes]] = []
    self.shares_centers = False
    self._coder = coder
    self._by_content: dict[tuple[str, bytes], int] = {}
    self._by_centers: dict[bytes, int] = {}
    # With the leaves, so that no later array can get the id of one of theirs.
    self._by_identity: dict[object, tuple[int, encoded.Encoded]] = {}

  def put(self, leaf: encoded.Encoded, path: str) -> int:
    """Writes a leaf, unless it is tied to an earlier one; gives its number.

    Raises:
      ValueError: a leaf that a file cannot hold; it names `path`.
    """
    same = encoded.identity(leaf)
    if same not in self._by_identity:
      given, leaf = leaf, encoded.unpacked(leaf)
      kind = type(leaf).__name__
      record = kind, layouts.encode(leaf, self._coder, path or 'The leaf')
      number = self._by_content.get(record, len(self.all))
      if number == len(self.all):
        self.all.append((kind, self._shortened(record[1], kind, number)))
        if not _is_constant(leaf):
          self._by_content[record] = number
      self._by_identity[same] = number, given
    return self._by_identity[same][0]

  def _shortened(self, record, kind, number):
    centers = shared.centers_of(record, kind)
    if not centers:
      return record
    first = self._by_centers.setdefault(centers, number)
    if first == number:
      return record
    self.shares_centers = True
    return shared.without_centers(record, centers, first)


def _is_constant(leaf):
  arrays = [tree.to_host(x) for x in jax.tree.leaves(leaf)]
  return all((x == x.flat[0]).all() for x in arrays if x.size)
