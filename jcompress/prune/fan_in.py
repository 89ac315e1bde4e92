"""Initial weights of sparse networks, scaled to the inputs that are left."""

from typing import Any

import jax
import jax.numpy as jnp


def scale_to_fan_in(params: Any, masks: Any) -> Any:
  """Makes up for the inputs that a mask takes away, before training begins.

  Initial weights of variance `1 / n_in` keep the size of responses. A unit with
  `k` of its `n_in` inputs left gets `sqrt(n_in / k)` times its weights, so that
  it answers as much as before. (Of a trained network it would undo what was
  learned.)

  >>> kernel = jnp.ones((4, 2))
  >>> mask = jnp.array([[1, 1], [0, 1], [0, 1], [0, 1]], bool)
  >>> scale_to_fan_in({'k': kernel}, {'k': mask})['k'][0]
  Array([2., 1.], dtype=float32)

  Args:
    params: initial kernels `[..., in, out]`; arrays of one axis stay.
    masks: of the params, true where a weight is active; `None` for an array
      that stays as it is.

  Returns:
    Params of the same dtypes; inactive weights are scaled too.

  Raises:
    ValueError: a mask that is not of the shape of its kernel.

  References:
    Evci et al., Gradient Flow in Sparse Neural Networks and How Lottery Tickets
    Win, 2022, arXiv 2010.03533, section 3.1.
  """
  return jax.tree.map(
    lambda m, w: w if m is None else _scaled(w, m),
    masks,
    params,
    is_leaf=lambda x: x is None,
  )


def _scaled(w, mask):
  if mask.shape != w.shape:
    raise ValueError(
      f'A mask {list(mask.shape)} does not fit a kernel {list(w.shape)}.'
    )
  if w.ndim < 2:
    return w
  left = jnp.sum(mask, axis=tuple(range(w.ndim - 1)), dtype=jnp.float32)
  share = w.shape[-1] * jnp.maximum(left, 1) / w.size
  return (w / jnp.sqrt(share)).astype(w.dtype)
