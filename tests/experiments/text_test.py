import numpy as np
import pytest

from jcompress.experiments import text


def test_the_topics_of_python_are_a_text_of_english():
  topics = text.python_topics()
  assert 250_000 < len(topics.train) < 1_000_000
  assert abs(len(topics.test) / len(topics.train) - 1 / 9) < 1e-4
  assert list(topics.alphabet) == sorted(set(topics.alphabet))
  letters = np.array(list(topics.alphabet))[topics.train]
  assert 'statement' in ''.join(letters[:20_000])
  assert topics.train.dtype == topics.test.dtype == np.int32


def test_characters_of_any_script_are_numbered():
  got = text.encode_text('\U0001f600a\U0001f600é', 0.25)
  assert got.alphabet == 'aé\U0001f600'
  assert got.train.tolist() == [2, 0, 2] and got.test.tolist() == [1]


def test_sequences_go_on_from_batch_to_batch():
  codes = np.arange(24, dtype=np.int32)
  first, second = text.sequences(codes, 2, 5)
  np.testing.assert_array_equal(first['input'], codes[[[0], [11]] + codes[:5]])
  np.testing.assert_array_equal(second['input'], first['input'] + 5)
  for batch in (first, second):
    np.testing.assert_array_equal(batch['target'], batch['input'] + 1)


def test_the_last_character_is_a_target():
  codes = np.arange(11, dtype=np.int32)
  (batch,) = text.sequences(codes, 2, 5)
  assert batch['target'].max() == 10


def test_bad_input_is_refused():
  with pytest.raises(ValueError, match='test_share=1'):
    text.encode_text('abc', 1)
  with pytest.raises(ValueError, match='must not be empty'):
    text.encode_text('')
  with pytest.raises(ValueError, match='takes 11 characters; the text has 10'):
    text.sequences(np.zeros(10, np.int32), 2, 5)
