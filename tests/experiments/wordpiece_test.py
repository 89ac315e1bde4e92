import numpy as np

from jcompress.experiments import wordpiece

KNOWN = {t: i for i, t in enumerate(['[PAD]', '[UNK]', '[CLS]', '[SEP]'])}
KNOWN |= {'a': 4, 'dog': 5, '##s': 6, '!': 7}


def test_rows_are_filled_up_and_masked():
  got = wordpiece.tokens(['A dog!', 'Dogs', 'cat'], KNOWN)
  np.testing.assert_array_equal(
    got.ids, [[2, 4, 5, 7, 3], [2, 5, 6, 3, 0], [2, 1, 3, 0, 0]]
  )
  np.testing.assert_array_equal(got.mask.sum(1), [5, 4, 3])


def test_a_word_with_an_unknown_piece_is_unknown_as_a_whole():
  assert wordpiece.pieces('dogx', KNOWN) == ['[UNK]']
