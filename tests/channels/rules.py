"""Walks over small functions with the rules of one file at a time."""

import jax
import numpy as np

from jcompress.channels.analysis import Analysis
from jcompress.channels.tracked import Tracked


class Walk:
  """The labels of the arguments and results of one function.

  Axes of size 1 of arguments cannot change, all others are free and masked to
  zero, as those of parameters are.
  """

  def __init__(self, rules, f, *args, **options):
    self.analysis = Analysis(rules, **options)
    self.store = self.analysis.store
    closed, shapes = jax.make_jaxpr(f, return_shape=True)(*args)
    self.args = [self._free(np.shape(x)) for x in jax.tree.leaves(args)]
    constants = [self.analysis.constant('c', c) for c in closed.consts]
    self.outs, self.frame = self.analysis.run(
      closed.jaxpr, constants, self.args
    )
    want = [tuple(s.shape) for s in jax.tree.leaves(shapes)]
    assert [out.shape for out in self.outs] == want

  def _free(self, shape):
    sizes = (n if n > 1 else 0 for n in shape)
    labels = [self.store.fresh(n, anchored=True) for n in sizes]
    fixed = self.analysis.opaque(shape).labels
    chosen = (a if len(a) else b for a, b in zip(labels, fixed, strict=True))
    return Tracked(tuple(chosen), (0.0,) * len(shape))

  def atoms(self, array, axis):
    """Of each index of an axis, as plain sets."""
    return [set(self.store.atoms(x)) for x in array.labels[axis]]

  def is_free(self, array, axis):
    return bool(self.store.alive(array.labels[axis]).all())

  def is_frozen(self, array, axis):
    return not self.store.alive(array.labels[axis]).any()

  def reason(self, array, axis):
    return self.store.reason(array.labels[axis][0])
