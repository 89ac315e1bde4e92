"""Biased weight decay: small units lose their weights, large ones do not."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jcompress import tree
from jcompress.base import Compressor
from jcompress.leafwise import leafwise
from jcompress.mask import apply_mask, encode_sparse, live_weights

BIASES = ('hyperbolic', 'exponential', 'rumelhart', 'quadratic')


def biased_decay(
  strength: float,
  *,
  bias: str = 'hyperbolic',
  shape: float = 1.0,
  decoupled: bool = False,
  keep_zeros: bool = False,
) -> Compressor:
  """Adds a bias to the loss that leaves a network with few hidden units.

  With `w_i = sum_j |w_ij|` over the weights that come into unit `i`, the last
  axis of a kernel counting the units:

  * hyperbolic: `B = sum_i w_i / (1 + shape w_i)`
  * exponential: `B = sum_i 1 - exp(-shape w_i)`
  * rumelhart: `B = sum_ij w_ij^2 / (1 + w_ij^2)`
  * quadratic: `B = sum_ij w_ij^2`, plain weight decay

  All but the last pull at small weights or units harder than at large ones.
  Do not expect zeros of the first two in the loss: around zero their slope
  changes sign, and the weights chatter. Prune afterwards, with `remove_units`
  or by magnitude, or let them be `decoupled`. Weights that are zero at `init`
  stay zero.

  Args:
    strength: of the bias in the loss, `>= 0` (1 in the paper).
    bias: one of the four names.
    shape: how early the pull wears off, `> 0`; of the first two (lambda; the
      paper's 0.01 for speech).
    decoupled: moves the weights by `-strength` times the slope of the bias in
      `update`, after each step of the optimizer, which then cannot rescale it;
      `strength` is per step then. The first two stop at zero, where they would
      cross it.
    keep_zeros: whether an array that is all zeros at `init` stays so; otherwise
      it trains.

  Raises:
    ValueError: a bias that is none of these, or a number out of range.

  References:
    Hanson & Pratt, Comparing Biases for Minimal Network Construction with
    Back-Propagation, NIPS 1, 1989.
  """
  if bias not in BIASES:
    raise ValueError(f'bias is {bias!r}; it must be one of {BIASES}.')
  if not 0 <= strength < np.inf:
    raise ValueError(f'strength is {strength}; it must be finite and >= 0.')
  if not 0 < shape < np.inf:
    raise ValueError(f'shape is {shape}; it must be finite and > 0.')

  def penalty(w, live):
    return strength * decay_bias(apply_mask(w, live), bias, shape)

  def update(w, live, grad):
    del grad
    x = apply_mask(w, live).astype(jnp.float32)
    pull = strength * jax.grad(decay_bias)(x, bias, shape)
    if bias in ('hyperbolic', 'exponential'):
      pull = jnp.clip(pull, -jnp.abs(x), jnp.abs(x))
    return (x - pull).astype(w.dtype), live

  return leafwise(
    init=lambda w: (w, live_weights(w, keep_zeros)),
    view=apply_mask,
    encode=encode_sparse,
    **({'update': update} if decoupled else {'penalty': penalty}),
  )


def decay_bias(
  w: Float[Array, '...'], bias: str, shape: float = 1.0
) -> Float[Array, '']:
  """The bias of one array, in float32; see `biased_decay`.

  >>> w = jnp.array([[0.5, -1.0], [0.1, 0.2]]).T  # two units of two inputs
  >>> print(decay_bias(w, 'hyperbolic', 2.0))
  0.5625
  """
  w = w.astype(jnp.float32)
  if bias in ('rumelhart', 'quadratic'):
    if bias == 'quadratic':
      return jnp.sum(jnp.square(w))
    is_large = jnp.abs(w) > 1  # where the square might be no float32
    small = jnp.square(jnp.where(is_large, 0, w))
    large = jnp.square(1 / jnp.where(is_large, w, 1))
    return jnp.sum(jnp.where(is_large, 1 / (1 + large), small / (1 + small)))
  unit = jnp.sum(jnp.abs(w), axis=tuple(range(w.ndim - 1)))  # eq. 11
  if bias == 'hyperbolic':
    return jnp.sum(unit / (1 + shape * unit))
  return jnp.sum(1 - jnp.exp(-shape * unit))


def remove_units(
  params: Any,
  accept: Callable[[Any], bool],
  *,
  kernel: str,
  outgoing: str,
) -> tuple[Any, Bool[np.ndarray, ' units']]:
  """Removes the hidden units that the network does not need.

  Each unit in turn, from the smallest incoming weights on, is cut out: its
  weights on both sides and its bias become zero. If the network is no longer
  accepted, it is put back. What is left are the functional units.

  Args:
    params: tree of arrays.
    accept: `params -> bool`, for instance whether all training examples are
      still answered correctly.
    kernel: path of the weights that come into the units, `[..., units]`. The
      bias, if there is one, lies beside it.
    outgoing: path of the weights that leave them, `[..., units, out]`; behind
      a flattening, any multiple of `units`, with the units fastest.

  Returns:
    The params, and which units are left.

  Raises:
    ValueError: a path that is not there; shapes that do not fit; params that
      are not accepted to begin with.

  References:
    Hanson & Pratt, 1989: counting functional units.
  """
  names, (leaves, treedef) = tree.paths(params), jax.tree.flatten(params)
  for path in (kernel, outgoing):
    if path not in names:
      raise ValueError(f'There is no {path}; the params have {names}.')
  at = {name: i for i, name in enumerate(names)}
  into, out = tree.to_host(leaves[at[kernel]]), leaves[at[outgoing]]
  units = into.shape[-1]
  if out.ndim < 2 or out.shape[-2] % units:
    raise ValueError(
      f'{kernel} has {units} units, {outgoing} the shape {list(out.shape)}; '
      'its last axis but one must be those units, or a multiple.'
    )
  if not accept(params):
    raise ValueError('The params are not accepted with all their units.')

  def cut(kept):
    new = list(leaves)
    new[at[kernel]] = jnp.where(kept, leaves[at[kernel]], 0)
    beside = at.get(f'{kernel.rpartition("/")[0]}/bias'.lstrip('/'))
    if beside is not None:
      new[beside] = jnp.where(kept, leaves[beside], 0)
    rows = np.tile(kept, out.shape[-2] // units)
    new[at[outgoing]] = jnp.where(rows[:, None], out, 0)
    return treedef.unflatten(new)

  kept = np.ones(units, bool)
  size = np.abs(into.astype(np.float32)).reshape(into.size // units, units)
  for unit in np.argsort(size.sum(0), kind='stable'):
    trial = kept.copy()
    trial[unit] = False
    if accept(cut(trial)):
      kept = trial
  return cut(kept), kept
