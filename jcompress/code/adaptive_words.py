"""The writer of the rANS stream that `adaptive_loops.walk` reads."""

import numpy as np

from jcompress.code.adaptive_loops import LOW, SLOTS_LOG
from jcompress.code.compiled import compiled


@compiled
def to_words(events, words):
  """Codes events backwards; gives where in `words` the code begins."""
  x = LOW
  at = len(words)
  for i in range(len(events) - 1, -1, -1):
    event = np.int64(events[i])
    share, start = event >> 16, event & 65535
    if x >= share << 20:
      at -= 1
      words[at] = x & 65535
      x >>= 16
    x = (x // share << SLOTS_LOG) + x % share + start
  words[at - 1] = x & 65535
  words[at - 2] = x >> 16
  return at - 2


@compiled
def bits(events, table):
  """Sum of what the table holds for the number of slots of each event."""
  total = 0.0
  for event in events:
    total += table[event >> 16]
  return total
