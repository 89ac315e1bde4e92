"""Quantizes a kernel with several axes of outputs as the matrix that it is."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jcompress.encoded import Encoded, Quantized


def as_matrix(
  quantize: Callable[[Any], Encoded], w: Any, inputs: int
) -> Encoded:
  """Quantizes a kernel whose outputs may have several axes, such as heads.

  Args:
    quantize: of a kernel with its outputs on the last axis, to a `Codebook` or
      to a `Quantized` whose scales are those of outputs or of all.
    w: kernel, `[*inputs, *outputs]`.
    inputs: their number. A kernel whose first axes do not make that many is
      handed on as it is, for `quantize` to refuse.
  """
  sizes = [math.prod(w.shape[:k]) for k in range(1, w.ndim)]
  axes = sizes.index(inputs) + 1 if inputs in sizes else w.ndim - 1
  outputs = w.shape[axes:]
  leaf: Any = quantize(jnp.reshape(w, (*w.shape[:axes], -1)))

  def apart(x):
    if x is None or not x.ndim:
      return x
    is_each = x.shape[-1] == math.prod(outputs)
    last = outputs if is_each else (1,) * len(outputs)
    return x.reshape(*x.shape[:-1], *last)

  changed = {'codes': apart(leaf.codes)}
  if isinstance(leaf, Quantized):
    changed |= {'scale': apart(leaf.scale), 'zero': apart(leaf.zero)}
  return dataclasses.replace(leaf, **changed)
