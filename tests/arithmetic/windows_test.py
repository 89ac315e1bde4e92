import pytest

from jcompress.arithmetic.windows import conv_padding

X, KERNEL = (2, 5, 6, 4), (3, 2, 2, 8)


def test_padding_is_resolved_to_pairs():
  resolve = lambda padding: conv_padding(X, KERNEL, (2, 1), padding, 2)
  assert resolve('VALID') == ((0, 0), (0, 0))
  assert resolve('SAME') == ((1, 1), (0, 1))
  assert resolve([(2, 0), (1, 3)]) == ((2, 0), (1, 3))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'groups': 3}, 'groups=3 must divide'),
    ({'strides': (0, 1)}, 'strides'),
    ({'x_shape': (2, 5, 6, 5)}, 'does not fit'),
    ({'x_shape': (5, 6, 4)}, 'does not fit'),
    ({'padding': 'FULL'}, "padding is 'FULL'"),
    ({'padding': ((0, -1), (0, 0))}, 'none negative'),
  ],
)
def test_what_does_not_fit_is_refused(change, message):
  settings = {'x_shape': X, 'form': KERNEL, 'strides': (1, 1)}
  settings |= {'padding': 'VALID', 'groups': 2} | change
  with pytest.raises(ValueError, match=message):
    conv_padding(**settings)
