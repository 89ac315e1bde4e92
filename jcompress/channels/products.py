"""Rules of matrix products and convolutions."""

from jcompress.channels.analysis import Analysis, Site
from jcompress.channels.blocks import split, unify
from jcompress.channels.tracked import Tracked, through_sum


def dot_general(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  a, b = arrays
  (sum_a, sum_b), (batch_a, batch_b) = site.params['dimension_numbers']
  for x, y in zip(batch_a, batch_b, strict=True):
    unify(analysis.store, a.labels[x], b.labels[y], site)
  sums = {}
  for x, y in zip(sum_a, sum_b, strict=True):
    axis = a.labels[x]
    unify(analysis.store, axis, b.labels[y], site)
    analysis.sum_over(axis, [a.masked_at(x), b.masked_at(y)], site)
    if analysis.store.alive(axis).any():
      sums['dot', len(axis)] = axis
      if a.const is not None or b.const is not None:
        sums['sum', len(axis)] = axis  # a product with ones is a sum
  free_a = _others(a, sum_a, batch_a)
  free_b = _others(b, sum_b, batch_b)
  analysis.kernels += [(a.labels, free_a), (b.labels, free_b)]
  labels = [a.labels[d] for d in (*batch_a, *free_a)]
  masked = [
    through_sum(a.masked_at(x), b.masked_at(y))
    for x, y in zip(batch_a, batch_b, strict=True)
  ]
  masked += [through_sum(a.masked_at(d)) for d in free_a]
  masked += [through_sum(b.masked_at(d)) for d in free_b]
  labels += [b.labels[d] for d in free_b]
  return [Tracked(tuple(labels), tuple(masked), None, sums)]


def convolution(
  analysis: Analysis, site: Site, arrays: list[Tracked]
) -> list[Tracked]:
  x, kernel = arrays
  if site.params['batch_group_count'] != 1:
    return analysis.give_up(site, arrays)
  numbers = site.params['dimension_numbers']
  (batch, x_in, *space), (k_out, k_in, *window) = numbers[:2]
  for d in space:
    analysis.freeze(x.labels[d], site.why('spatial axis'))
  for d in window:
    analysis.freeze(kernel.labels[d], site.why('kernel window axis'))
  masked = [x.masked_at(x_in), kernel.masked_at(k_in)]
  _couple(analysis, site, x.labels[x_in], kernel, numbers.rhs_spec, masked)
  analysis.kernels.append((kernel.labels, (k_out,)))
  out = analysis.opaque(site.shape)
  labels, masked = list(out.labels), list(out.masked)
  out_batch, out_feature, *_ = numbers.out_spec
  labels[out_batch] = x.labels[batch]
  labels[out_feature] = kernel.labels[k_out]
  masked[out_batch] = through_sum(x.masked_at(batch))
  masked[out_feature] = through_sum(kernel.masked_at(k_out))
  return [Tracked(tuple(labels), tuple(masked))]


def _couple(analysis, site, inputs, kernel, spec, masked):
  """Input channels with the kernel: as they are, or as groups x channels.

  Only the number of groups tells a depthwise convolution; a kernel with one
  output and one group is an ordinary one.
  """
  store, groups = analysis.store, site.params['feature_group_count']
  k_out, k_in = (kernel.labels[d] for d in spec[:2])
  each_in, each_out = len(inputs) // groups, len(k_out) // groups
  if groups == 1:
    unify(store, inputs, k_in, site)
    analysis.sum_over(inputs, masked, site)
    return
  why = site.why('groups of a convolution')
  group = inputs
  if each_in == 1:
    analysis.freeze(k_in, why)
  else:
    group, channels = split(store, inputs, (groups, each_in), why)
    unify(store, channels, k_in, site)
    analysis.sum_over(channels, masked, site)
  if each_out == 1:
    out_group = k_out
  else:
    out_group, _ = split(store, k_out, (groups, each_out), why)
  unify(store, group, out_group, site)
  site.frame.groups[site.number] = group
  analysis.conv_groups.append((k_out, group))


def _others(array, *taken):
  used = {d for dims in taken for d in dims}
  return tuple(d for d in range(len(array.labels)) if d not in used)


RULES = {'dot_general': dot_general, 'conv_general_dilated': convolution}
