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


def test_a_file_of_text(tmp_path):
  path = tmp_path / 'book.txt'
  path.write_text('abcabé', encoding='utf-8')
  got = text.load(str(path), 0.5)
  assert (got.name, got.alphabet) == (str(path), 'abcé')
  assert got.test.tolist() == [0, 1, 3]
  with pytest.raises(ValueError, match="No text 'book.pdf'"):
    text.load('book.pdf')


def test_a_text_is_read_by_the_alphabet_of_a_trained_model(tmp_path):
  path = tmp_path / 'book.txt'
  path.write_text('caca')
  got = text.load(str(path), 0.25, alphabet='abc')
  assert got.train.tolist() == [2, 0, 2] and got.test.tolist() == [0]
  assert got.train.dtype == np.int32
  with pytest.raises(ValueError, match="characters 'c', which are not"):
    text.load(str(path), alphabet='ab')


def test_bad_input_is_refused():
  with pytest.raises(ValueError, match='test_share=1'):
    text.encode_text('abc', 1)
  with pytest.raises(ValueError, match='must not be empty'):
    text.encode_text('')
