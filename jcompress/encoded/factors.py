"""A weight as a product of several factors, whatever the factorization."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jcompress.encoded.leaf import Encoded, leaf, several, static, width
from jcompress.numerics import exact
from jcompress.numerics.wide import wide

# A chain of convolutions from few channels to fewer has intermediates that are
# larger than the kernel, by less than the positions of a window of 11 x 11.
_MOST = 128


@leaf
class Factors(Encoded):
  """`einsum(equation, *factors)`, reshaped to the shape of the weight.

  SVD of a matrix is `'ar,rb->ab'`, Tucker-2 `'ia,hwab,bo->hwio'`, CP
  `'hr,wr,ir,or->hwio'`, a tensor train of three cores `'aijb,bklc,cmnd->
  ikmjln'`. Multiplied from left to right, in at least float32.

  Attributes:
    factors: floats of one dtype, that of the weight.
    equation: letters for each axis of each factor, and of the result.
    shape: of the weight; row-major, as many entries as the result.
  """

  factors: tuple[Any, ...] = several()
  equation: str = static()
  shape: tuple[int, ...] = static()

  def decode(self):
    return multiply(self.equation, self.factors, self.shape)

  def bits(self):
    return float(sum(width(f) * f.size for f in self.factors))


def multiply(
  equation: str,
  factors: Sequence[Any],
  shape: tuple[int, ...],
) -> Float[Array, '...']:
  """The product of factors, from left to right: the same bits each time.

  Args:
    equation: as of `einsum`, letters, commas and one arrow.
    factors: of one dtype, which the product has; sums are in float32 at least.
    shape: that the result is given.

  Raises:
    ValueError: the equation is none, or the factors or the shape do not fit it;
      a product on the way is far larger than factors and result together.
  """
  factors = [jnp.asarray(f) for f in factors]
  terms, out = _parsed(equation, factors)
  sizes = _sizes(equation, terms, factors)
  count = math.prod(sizes[a] for a in out)
  if min(shape, default=0) < 0 or math.prod(shape) != count:
    raise ValueError(
      f'{equation!r} gives {count} entries, which a weight of shape {shape} '
      'has not.'
    )
  steps = _steps(terms, out)
  rows = lambda letters: math.prod(max(1, sizes[a]) for a in letters)
  largest = max(rows(kept) for _, _, kept in steps)
  if largest > _MOST * (rows(out) + sum(map(rows, terms))):
    raise ValueError(
      f'{equation!r} has a product of {largest} entries on the way to {count}: '
      'order the factors so that the small ones meet first.'
    )
  product = wide(factors[0])
  for factor, (done, term, kept) in zip(factors, steps, strict=True):
    if not done:
      product = exact.einsum(f'{term}->{kept}', product)
    else:
      product = exact.einsum(f'{done},{term}->{kept}', product, wide(factor))
  return product.reshape(shape).astype(factors[0].dtype)


def _parsed(equation, factors):
  """The letters of each factor and of the result, checked."""
  left, arrow, out = equation.partition('->')
  terms = left.split(',')
  letters = ''.join(terms) + out
  is_one = arrow and letters.isascii() and (letters.isalpha() or not letters)
  if not is_one or len(terms) != len(factors):
    raise ValueError(
      f'The equation {equation!r} of {len(factors)} factors must be letters '
      'for each, commas between them, one arrow and the letters of the result.'
    )
  for term, factor in zip(terms, factors, strict=True):
    if len(term) != factor.ndim or len(set(term)) != len(term):
      raise ValueError(
        f'The factor {factor.shape} has the axes {term!r} in {equation!r}: '
        'there must be another letter for each axis.'
      )
  if len(set(out)) != len(out) or not set(out) <= set(left):
    raise ValueError(
      f'The result {out!r} of {equation!r} must have letters of the factors, '
      'each once.'
    )
  kinds = {f.dtype for f in factors}
  if len(kinds) > 1 or not jnp.issubdtype(factors[0].dtype, jnp.floating):
    raise ValueError(
      f'Factors of dtypes {sorted(map(str, kinds))} must be floats of one.'
    )
  return terms, out


def _sizes(equation, terms, factors):
  sizes: dict[str, int] = {}
  for term, factor in zip(terms, factors, strict=True):
    for letter, size in zip(term, factor.shape, strict=True):
      if sizes.setdefault(letter, size) != size:
        raise ValueError(
          f'The axis {letter!r} of {equation!r} is {sizes[letter]} and {size} '
          f'in factors {[f.shape for f in factors]}.'
        )
  return sizes


def _steps(terms, out):
  """What is there before each factor, its letters, and what stays after it."""
  wanted = [set(out).union(*terms[i + 1 :]) for i in range(len(terms))]
  steps, done = [], ''
  for i, term in enumerate(terms):
    seen = dict.fromkeys(itertools.chain(done, term))
    kept = ''.join(a for a in seen if a in wanted[i])
    kept = out if i == len(terms) - 1 else kept
    steps.append((done, term, kept))
    done = kept
  return steps
