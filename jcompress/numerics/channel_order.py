"""Channels in groups: shuffled among them, and pooled over copies."""

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from jcompress.numerics.whole import require_whole


def channel_shuffle(
  x: Shaped[Array, '*rest c'], groups: int
) -> Shaped[Array, '*rest c']:
  """Deals the channels of each group to all groups of the next layer.

  Args:
    x: channels last, `groups` times as many as a group has.
    groups: of the grouped convolutions before and behind.

  Raises:
    ValueError: the channels are no multiple of `groups`.

  >>> channel_shuffle(jnp.arange(6), 3).tolist()
  [0, 2, 4, 1, 3, 5]

  References:
    Zhang et al., ShuffleNet, 2018, arXiv 1707.01083, section 3.1.
  """
  _require_parts('groups', groups, x)
  parts = x.reshape(*x.shape[:-1], groups, -1)
  return jnp.swapaxes(parts, -1, -2).reshape(x.shape)


def group_pool(
  x: Shaped[Array, '*rest nc'], copies: int, kind: str = 'max'
) -> Shaped[Array, '*rest c']:
  """Pools over the copies of each filter, as `tie` orders them.

  Over the 4 or 8 copies of a group it makes outputs invariant that turn along
  with the image; over those of a larger filter it is the pooling of a doubly
  convolutional layer.

  Args:
    x: the copy first: `copy * c + channel`.
    copies: of each filter.
    kind: `'max'` or `'mean'`.

  Raises:
    ValueError: the channels are no multiple of `copies`; another kind.

  >>> group_pool(jnp.array([1.0, 2.0, 5.0, 0.0]), 2).tolist()
  [5.0, 2.0]
  """
  _require_parts('copies', copies, x)
  if kind not in ('max', 'mean'):
    raise ValueError(f"kind is {kind!r}; it must be 'max' or 'mean'.")
  parts = x.reshape(*x.shape[:-1], copies, -1)
  return parts.max(-2) if kind == 'max' else parts.mean(-2)


def _require_parts(name, count, x):
  require_whole(name, count, 1)
  if not x.ndim or x.shape[-1] % count:
    raise ValueError(
      f'{name} is {count}, and the channels of {list(x.shape)} are no multiple '
      'of that.'
    )
