"""Rules of elementwise primitives: all operands are kept together."""

import math

import numpy as np

from jcompress.channels.analysis import Analysis, Site
from jcompress.channels.blocks import unify
from jcompress.channels.labels import ALWAYS
from jcompress.channels.tracked import Tracked, evaluate, joined_sums

_NAMES = """
  abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e
  bessel_i1e bitcast_convert_type cbrt ceil clamp clz complex conj
  convert_element_type copy copy_p cos cosh device_put digamma div eq eq_to
  erf erf_inv erfc exp exp2 expm1 floor ge ge_to gt gt_to igamma igammac imag
  integer_pow is_finite le le_to lgamma log log1p logistic lt lt_to max min
  mul mulhi name ne neg nextafter not optimization_barrier or polygamma
  population_count pow pvary real reduce_precision rem reshard round rsqrt
  select_n sharding_constraint shift_left shift_right_arithmetic
  shift_right_logical sign sin sinh sqrt square stop_gradient sub tan tanh xor
  zeta
""".split()


def elementwise(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  if len(arrays) > 1 and len(site.eqn.outvars) > 1:
    return list(arrays)  # a barrier: identities side by side
  if any(len(a.labels) not in (0, len(site.shape)) for a in arrays):
    return analysis.give_up(site, arrays)  # a bitcast that splits numbers
  labels = [_axis(analysis, site, arrays, d) for d in range(len(site.shape))]
  masked = [
    evaluate(site.eqn, [_masked_at(a, d, size) for a in arrays])
    for d, size in enumerate(site.shape)
  ]
  values = [a.const for a in arrays]
  known = all(value is not None for value in values)
  const = evaluate(site.eqn, values) if known else None
  result = Tracked(tuple(labels), tuple(masked), const, joined_sums(arrays))
  if site.name in ('mul', 'div'):
    _look_at_widths(analysis, site, arrays, result)
  return [result]


def _axis(analysis, site, arrays, d):
  """Unites one axis of all operands that have it whole."""
  size = site.shape[d]
  axes = [a.labels[d] for a in arrays if len(a.labels) == len(site.shape)]
  whole = [axis for axis in axes if len(axis) == size]
  for axis in axes:
    if len(axis) != size:
      analysis.freeze(axis, site.why('a single channel is broadcast'))
  for other in whole[1:]:
    unify(analysis.store, whole[0], other, site)
  return whole[0] if whole else np.full(size, ALWAYS)


def _masked_at(array, d, size):
  if array.const is not None:
    return array.const
  has_axis = len(array.labels) > d and len(array.labels[d]) == size
  return array.masked[d] if has_axis else None


def _look_at_widths(analysis, site, arrays, result):
  """Notices factors and divisors that look computed from a channel count.

  A sum over n channels times 1/n is a mean: with fewer channels a module would
  divide by fewer, which is another function. Other such scales are noted.
  """
  alive = lambda labels: analysis.store.alive(labels).any()
  for array in arrays:
    scale = array.const
    if isinstance(scale, bool | complex) or scale is None or not scale > 0:
      continue
    for (kind, width), labels in result.sums.items():
      divisor = width if site.name == 'div' else 1 / width
      is_mean = kind == 'sum' and width > 1 and _close(scale, divisor)
      if is_mean and alive(labels) and analysis.reductions != 'exact':
        what = f'mean over a channel axis (divisor {width})'
        analysis.freeze(labels, site.why(what))
    widths = [(len(labels), labels) for labels in result.labels]
    widths += [(width, labels) for (_, width), labels in result.sums.items()]
    for width, labels in widths:
      if width > 1 and _is_of_width(scale, width) and alive(labels):
        what = f'literal {scale:g} may come from a width of {width}'
        analysis.notes.append((site.why(what), labels))


def _close(scale, value):
  return math.isclose(scale, value, rel_tol=1e-4)


def _is_of_width(scale, width):
  return any(_close(scale, width**power) for power in (1, -1, 0.5, -0.5))


RULES = dict.fromkeys(_NAMES, elementwise)
