"""Codebooks and codes of a layer, fitted to its responses instead of weights.

Everything the fit needs of the data are the second moments of a layer's inputs,
`H = X^T X / n`, and their products with the wanted responses, `B = X^T T / n`:
but for a constant, the responses are off by `tr(W^T H W) - 2 tr(W^T B)`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt

from jcompress.numerics import exact


class Fit(NamedTuple):
  """Codebooks, codes, and how far the responses are off.

  Attributes:
    centers: `[blocks, k, length]`, float32.
    codes: `[groups, offsets, blocks, outputs]`.
    errors: `[1 + sweeps]`, the part of the mean squared error of the responses,
      summed over outputs, that depends on the weights: before and after each
      sweep; never increasing but for rounding.
  """

  centers: Float[Array, 'blocks k length']
  codes: Int[Array, 'groups offsets blocks outputs']
  errors: Float[Array, ' sweeps']


@functools.partial(jax.jit, static_argnames=('sweeps', 'ridge'))
def correct(
  moments: Float[Array, 'groups inputs inputs'],
  targets: Float[Array, 'groups inputs outputs'],
  centers: Float[Array, 'blocks k length'],
  codes: Int[Array, '...'] | UInt[Array, '...'],
  *,
  sweeps: int,
  ridge: float,
) -> Fit:
  """Alternates least squares for codewords and search for codes, by blocks.

  Each step solves its part exactly, so that the error never grows.

  Args:
    moments: `H`; inputs are `offsets * blocks * length` in this order, offsets
      being the positions under a convolution's kernel (1 of a dense layer).
    targets: `B`.
    centers: where to start.
    codes: where to start, `[groups, offsets, blocks, outputs]`.
    sweeps: over all blocks.
    ridge: holds codewords to where they are, in units of the mean of the
      diagonal of `H`: what dead inputs leave undetermined stays as it was.

  References:
    Wu et al., Quantized Convolutional Neural Networks for Mobile Devices, 2016,
    arXiv 1512.06473, section 3.3.
  """
  groups, offsets, blocks, outputs = codes.shape
  _, k, length = centers.shape
  inputs = (groups, offsets, blocks, length)
  h = moments.reshape(*inputs, offsets, blocks, length)
  b = targets.reshape(*inputs, outputs)
  hold = (
    ridge * exact.einsum('gaicaic->', h) / (groups * offsets * blocks * length)
  )
  hold = jnp.maximum(hold, jnp.finfo(jnp.float32).tiny)
  product = lambda w: exact.einsum('gaicbjd,gbjdo->gaico', h, w)

  def codewords(old, hm, wanted, code):
    """Least squares for all codewords of a block."""
    members = jax.nn.one_hot(code, k, dtype=jnp.float32)  # [g, a, o, k]
    right = exact.einsum('gaok,gaco->kc', members, wanted) + hold * old
    if offsets == 1:  # no output has two codewords of one block
      left = exact.einsum('gaok,gacad->kcd', members, hm)
      left += hold * jnp.eye(length, dtype=jnp.float32)[None]
      return jnp.linalg.solve(left, right[..., None])[..., 0]
    pairs = exact.einsum('gaok,gbol->gkalb', members, members)
    left = exact.einsum('gkalb,gacbd->kcld', pairs, hm)
    left = left.reshape(k * length, -1)
    left += hold * jnp.eye(k * length, dtype=jnp.float32)
    return jnp.linalg.solve(left, right.ravel()).reshape(k, length)

  def search(block, hm, wanted, code):
    """The best code of each output, one offset after the other."""

    def at(a, code):
      w = _look_up(block, code)
      here = hm[:, a, :, a]  # [g, c, d]
      own = exact.einsum('gcd,gdo->gco', here, w[:, a])
      rest = exact.einsum('gcbd,gbdo->gco', hm[:, a], w) - own
      score = exact.einsum('kc,gcd,kd->gk', block, here, block)[:, None]
      cross = exact.einsum('kc,gco->gok', block, wanted[:, a] - rest)
      return code.at[:, a].set(
        (score - 2 * cross).argmin(-1).astype(code.dtype)
      )

    return jax.lax.fori_loop(0, offsets, at, code)

  def improve(m, carry):
    centers, codes, w, hw = carry
    hm = h[:, :, m, :, :, m]  # [g, a, c, b, d]
    old = w[:, :, m]
    wanted = (
      b[:, :, m] - hw[:, :, m] + exact.einsum('gacbd,gbdo->gaco', hm, old)
    )
    block = codewords(centers[m], hm, wanted, codes[:, :, m])
    code = search(block, hm, wanted, codes[:, :, m])
    new = _look_up(block, code)
    hw += exact.einsum('gaicbd,gbdo->gaico', h[:, :, :, :, :, m], new - old)
    centers, codes = centers.at[m].set(block), codes.at[:, :, m].set(code)
    return centers, codes, w.at[:, :, m].set(new), hw

  def sweep(carry, _):
    _, _, w, hw = carry = jax.lax.fori_loop(0, blocks, improve, carry)
    return carry, exact.vdot(w, hw - 2 * b)

  w = (
    jnp.stack([_look_up(centers[m], codes[:, :, m]) for m in range(blocks)], 2)
    if blocks
    else jnp.zeros((*inputs, outputs), jnp.float32)
  )
  start = centers, codes, w, product(w)
  first = exact.vdot(w, start[3] - 2 * b)
  (centers, codes, _, _), errors = jax.lax.scan(sweep, start, None, sweeps)
  return Fit(centers, codes, jnp.append(first, errors))


def _look_up(block, code):
  """Weights `[g, a, length, o]` of the codes `[g, a, o]` of one block."""
  return jnp.moveaxis(block[code.astype(jnp.int32)], -1, 2)
