"""Rules of calls, branches and loops."""

from jcompress.channels.analysis import Analysis, Site
from jcompress.channels.tracked import Tracked
from jcompress.traced import jaxprs


def call(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  """Each call has labels of its own, even of the same inner jaxpr."""
  body = jaxprs.inner(site.eqn)
  if body is None:
    return analysis.give_up(site, arrays)
  name = site.params.get('name', site.name)
  results, frame = analysis.call(body, arrays, f'{site.path}{name}/')
  site.frame.inner[site.number] = [frame]
  return results


def branches(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  analysis.freeze_array(arrays[0], site.why('index of a branch'))
  results, frames = None, []
  for i, body in enumerate(site.params['branches']):
    path = f'{site.path}cond[{i}]/'
    found, frame = analysis.call(body, arrays[1:], path)
    frames.append(frame)
    results = [
      analysis.join(a, b, site.why('branches'))
      for a, b in zip(results or found, found, strict=True)
    ]
  site.frame.inner[site.number] = frames
  return results or []


def scan(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  path = f'{site.path}scan/'
  n_constants, n_carries = jaxprs.scan_counts(site.params)
  constants = arrays[:n_constants]
  carry = arrays[n_constants : n_constants + n_carries]
  stacked = arrays[n_constants + n_carries :]
  for x in stacked:
    why = site.why('stacked (layer or time) axis')
    analysis.freeze(x.labels[0], why)
  slices = [
    Tracked(x.labels[1:], x.masked[1:], x.const, x.sums) for x in stacked
  ]

  def body(carry):
    inputs = [*constants, *carry, *slices]
    return analysis.call(site.params['jaxpr'], inputs, path)

  carry, results, frame = _until_stable(analysis, site, carry, body)
  site.frame.inner[site.number] = [frame]
  (time,) = analysis.opaque((site.params['length'],)).labels
  outputs = [
    Tracked((time, *y.labels), (None, *y.masked_axes()))
    for y in results[n_carries:]
  ]
  return [*carry, *outputs]


def while_loop(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  params = site.params
  first, second = params['cond_nconsts'], params['body_nconsts']
  of_test, of_body = arrays[:first], arrays[first : first + second]

  def body(carry):
    path = f'{site.path}while/'
    return analysis.call(params['body_jaxpr'], [*of_body, *carry], path)

  carry = arrays[first + second :]
  carry, _, frame = _until_stable(analysis, site, carry, body)
  path = f'{site.path}while_test/'
  test = analysis.call(params['cond_jaxpr'], [*of_test, *carry], path)[1]
  site.frame.inner[site.number] = [test, frame]
  return carry


def _until_stable(analysis, site, carry, body):
  """Repeats the body until nothing new is learned about its carry.

  Masked values only ever become unknown or infinite, so this ends.
  """
  while True:
    results, frame = body(carry)
    pairs = zip(carry, results[: len(carry)], strict=True)
    joined = [analysis.join(a, b, site.why('carry')) for a, b in pairs]
    if _known(joined) == _known(carry):
      return joined, results, frame
    carry = joined


def _known(arrays):
  # As text, for NaN is not equal to itself.
  return [str((a.masked_axes(), a.const, sorted(a.sums))) for a in arrays]


RULES = {
  **dict.fromkeys((*jaxprs.INLINED, *jaxprs.CUSTOM), call),
  'cond': branches,
  'scan': scan,
  'while': while_loop,
}
