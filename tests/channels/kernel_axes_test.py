"""The axes of kernels along which channels come out."""

import pytest
import zoo_attention
import zoo_conv
import zoo_loops
import zoo_modules

from jcompress import channel_groups
from jcompress.channels.kernel_axes import output_axes


def axes(net):
  graph = channel_groups(net.apply, net.params, *net.inputs, **net.options)
  return {p.removeprefix('params/'): a for p, a in output_axes(graph).items()}


@pytest.mark.parametrize(
  'make, known',
  [
    (zoo_modules.conv_transpose_flipped, {'ConvTranspose_0/kernel': (2,)}),
    (zoo_modules.unet, {'ConvTranspose_0/kernel': (3,)}),
    (zoo_conv.depthwise_multiplier, {'k0': (3,), 'dw': (3,)}),
    (
      zoo_attention.transformer_linen,
      {'a/query/kernel': (1, 2), 'a/out/kernel': (2,)},
    ),
  ],
)
def test_known_axes(make, known):
  found = axes(make())
  assert {path: found[path] for path in known} == known
  assert not any(path.endswith('bias') for path in found)


def test_of_stacked_kernels_it_is_not_known():
  assert not {'a', 'b', 'c'} & set(axes(zoo_loops.scanned_layers()))
