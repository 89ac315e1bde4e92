import pytest
from helpers import as_users_call_it

from jcompress import patterns


def test_a_pattern_matches_whole_paths():
  assert patterns.matches('fc1/.*', 'fc1/kernel')
  assert not patterns.matches('fc1', 'fc1/kernel')
  for path in ('kernel', 'a/kernel', 'a/b/kernel'):
    assert patterns.matches(patterns.KERNELS, path)
  assert not patterns.matches(patterns.KERNELS, 'a/subkernel')


@pytest.mark.parametrize('pattern', ['*/kernel', '(kernel', '**'])
def test_what_is_no_regular_expression_is_refused(pattern):
  with pytest.raises(ValueError, match='is not a regular expression'):
    patterns.matches(pattern, 'kernel')


def test_a_pattern_is_text():
  wrong = pytest.raises(ValueError, match='of type list; it must be a regular')
  with as_users_call_it(), wrong:
    patterns.matches(['kernel'], 'kernel')
