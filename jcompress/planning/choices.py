"""What a plan chooses from: quantizers of one array, by name and settings."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jcompress import tree
from jcompress.encoded import Dense, Encoded
from jcompress.quantize.adaround import adaround
from jcompress.quantize.as_matrix import as_matrix
from jcompress.quantize.gptq import gptq
from jcompress.quantize.grid_quantize import grid_quantize
from jcompress.quantize.hqq import hqq
from jcompress.quantize.kmeans_share import kmeans_share
from jcompress.quantize.linear import linear_quantize
from jcompress.quantize.row_steps import row_steps
from jcompress.quantize.step_codebook import step_codebook
from jcompress.quantize.step_feedback import step_feedback
from jcompress.traced.kronecker import UNKNOWN, Moments

_POWERS = np.arange(-7.5, 4.5, 0.5)  # of two, of the spread: steps
_WITH_FEEDBACK = np.arange(-1, 16, 2)  # those between are foretold
_MOST_VALUES = 8_000  # of a codebook; a few rows have some times as many
_EVEN = 0.5  # of the mean of the diagonal


class Choice(NamedTuple):
  """A quantizer and its settings, plain values that JSON can hold."""

  method: str
  settings: Mapping[str, Any]


def quantized(choice: Choice, w: Any, moments: Moments = UNKNOWN) -> Encoded:
  """An array as a choice encodes it; the same bytes for the same array.

  Args:
    choice: a method of `METHODS`, and its settings.
    w: floats.
    moments: of its inputs, a matrix, for `'feedback'`, `'gptq'` and
      `'adaround'`, a vector for `'rows'`; and of its outputs.

  Raises:
    ValueError: a method that is not known, settings that it does not take, or
      no moments where they are needed.
  """
  if choice.method not in METHODS:
    raise ValueError(
      f'The method {choice.method!r} is not known; there are '
      f'{", ".join(METHODS)}.'
    )
  settings = dict(choice.settings)
  is_matrix = choice.method in ('feedback', 'gptq', 'adaround')
  if is_matrix or choice.method == 'rows':
    if np.ndim(moments.inputs) != (2 if is_matrix else 1):
      raise ValueError(
        f'The plan rounds by {choice.method}, which needs the second moments '
        'of the inputs: give moments, as of curvature.input_hessian, or where '
        'they were of kronecker, those.'
      )
    settings['moments'] = moments
  run = functools.partial(METHODS[choice.method], **settings)
  try:
    if is_matrix:
      return as_matrix(run, w, len(moments.inputs))
    return run(w)
  except TypeError as error:
    raise ValueError(
      f'{choice.method} does not take {dict(choice.settings)}: {error}.'
    ) from error


def blended(outputs: Any) -> Any:
  """Moments of gradients, and to a third what they are if all are alike.

  They are known from few examples, and are not all that there is to an error.
  """
  if outputs is None:
    return None
  even = np.diagonal(outputs).mean()
  return outputs + _EVEN * even * np.eye(len(outputs))


def has_feedback(method: str, moments: Moments = UNKNOWN) -> bool:
  """Whether weights make up for the errors of others, which takes long.

  Steps may be far coarser than the weights then: sums of errors reach them.
  """
  of_rows = method == 'rows' and moments.outputs is not None
  return of_rows or method == 'feedback'


def finest(method: str, w: Any) -> Choice:
  """The finest step of a plan, without feedback.

  Args:
    method: `'steps'`, `'feedback'` or `'rows'`.
    w: floats.
  """
  settings = {'step': float(max(_spread(w) * 2.0 ** _POWERS[0], _held(w)))}
  if method == 'rows':
    return Choice('rows', {**settings, 'feedback': False})
  return Choice('steps', {**settings, 'strength': 0.0})


def _spread(w):
  return float(np.std(tree.to_host(w), dtype=np.float64))


def _held(w):
  """A step that is not too fine for a codebook."""
  host = tree.to_host(w)
  return 2 * max(float(host.max()), -float(host.min())) / _MOST_VALUES


def candidates(
  w: Any, methods: Sequence[str], axis: int, moments: Moments = UNKNOWN
) -> list[Choice]:
  """The choices that a plan tries for an array, the array as it is among them.

  Args:
    w: floats with two or more axes.
    methods: names of `METHODS`.
    axis: of the outputs.
    moments: with a matrix of its inputs steps are taken with feedback, with a
      vector they are those of its rows.

  Raises:
    ValueError: a method that is not known.
  """
  unknown = [m for m in methods if m not in METHODS]
  if unknown:
    raise ValueError(
      f'methods has {", ".join(unknown)}; there are {", ".join(METHODS)}.'
    )
  found = [Choice('float', {})]
  has_moments = np.ndim(moments.inputs) == 2
  spread = _spread(w)
  if 'steps' in methods and spread > 0:
    method = ('steps', 'rows', 'feedback')[np.ndim(moments.inputs)]
    powers = _WITH_FEEDBACK if has_feedback(method, moments) else _POWERS
    ladder = np.unique(np.maximum(spread * 2.0**powers, _held(w)))
    steps = [{'step': step} for step in ladder.tolist()]
    found += [Choice(method, settings) for settings in steps]
  if 'linear' in methods:
    settings = [{'bits': bits, 'axis': axis} for bits in range(2, 9)]
    found += [Choice('linear', s) for s in settings]
  if 'kmeans' in methods:
    found += [Choice('kmeans', {'bits': bits}) for bits in range(1, 7)]
  if 'gptq' in methods and has_moments:
    found += [Choice('gptq', {'bits': bits}) for bits in range(2, 9)]
  if 'adaround' in methods and has_moments:
    found += [Choice('adaround', {'bits': bits}) for bits in range(2, 9)]
  if 'hqq' in methods and axis == -1:
    found += [Choice('hqq', {'bits': bits}) for bits in range(2, 9)]
  if 'grid' in methods:
    grids = ('mxfp4', 'nf4', 'mxfp6_e2m3', 'e4m3')
    found += [Choice('grid', {'grid': g, 'axis': axis}) for g in grids]
  return found


def _at_once(make):
  """A compressor's encoding of one array without training."""

  def encode(w, **settings):
    comp = make(**settings)
    return comp.encode(*comp.init(jnp.asarray(w)))

  return encode


def _gptq(w, bits, moments, **settings):
  leaf, _ = gptq(w, moments.inputs, bits, **settings)
  return leaf


def _adaround(w, bits, moments, **settings):
  leaf, _ = adaround(w, moments.inputs, bits, **settings)
  return leaf


def _with_feedback(w, step, moments, **settings):
  return step_feedback(
    w, moments.inputs, step, outputs=blended(moments.outputs), **settings
  )


def _with_row_steps(w, step, moments, **settings):
  return row_steps(w, moments.inputs, step, outputs=moments.outputs, **settings)


METHODS: dict[str, Callable[..., Encoded]] = {
  'float': Dense,
  'steps': step_codebook,
  'feedback': _with_feedback,
  'rows': _with_row_steps,
  'linear': _at_once(linear_quantize),
  'kmeans': _at_once(kmeans_share),
  'gptq': _gptq,
  'adaround': _adaround,
  'hqq': hqq,
  'grid': _at_once(grid_quantize),
}
