"""Which filters Li et al. (2017) removed, as plans, and what that leaves.

Layers are numbered as in `VGG16` and `ResNet`. Counts are exact where the paper
prints them rounded: `1.5e7` parameters of VGG-16 are 14,977,728.

References:
  Li et al., Pruning Filters for Efficient ConvNets, 2017, arXiv 1608.08710,
    table 1 and sections 4.1 and 4.2.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jcompress import KERNELS, channel_groups, tree
from jcompress.channels.graph import ChannelGraph, Plan
from jcompress.models import VGG16, ResNet

IMAGE = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)


class Row(NamedTuple):
  """One row of the table.

  Attributes:
    model: before pruning.
    kept: fraction of the filters that each pruned layer keeps.
    biases: whether the paper counts those of the last layer.
    weights: how many are left.
    macs: how many multiply-accumulates are left.
    removed: percentages of weights and of multiply-accumulates in the paper.
  """

  model: nn.Module
  kept: Mapping[str, float]
  biases: bool
  weights: int
  macs: int
  removed: tuple[float, float]


def residual(
  depth: int, fractions: Iterable[float], skip: Iterable[int]
) -> dict[str, float]:
  """What is kept of the first layers of blocks: all other channels are added.

  Args:
    depth: of the network.
    fractions: removed in each of the three stages.
    skip: sensitive layers that are left whole.
  """
  stage = lambda i: (i - 2) // ((depth - 2) // 3)
  left = [1 - fraction for fraction in fractions]
  layers = set(range(2, depth, 2)) - set(skip)
  return {
    f'conv{i}': left[stage(i)] for i in sorted(layers) if left[stage(i)] < 1
  }


VGG, R56, R110 = VGG16(), ResNet(56), ResNet(110)
HALVES = dict.fromkeys(['conv1', *(f'conv{i}' for i in range(8, 14))], 0.5)

TABLE = {
  'VGG-16': Row(VGG, {}, False, 14_977_728, 313_463_808, (0, 0)),
  'VGG-16-pruned-A': Row(
    VGG, HALVES, False, 5_390_176, 206_279_680, (64.0, 34.2)
  ),
  'ResNet-56': Row(R56, {}, True, 848_954, 125_485_696, (0, 0)),
  'ResNet-56-pruned-A': Row(
    R56,
    residual(56, (0.1, 0.1, 0.1), (16, 20, 38, 54)),
    True,
    769_466,
    112_435_840,
    (9.4, 10.4),
  ),
  'ResNet-56-pruned-B': Row(
    R56,
    residual(56, (0.6, 0.3, 0.1), (16, 18, 20, 34, 38, 54)),
    True,
    732_026,
    90_907_264,
    (13.7, 27.6),
  ),
  'ResNet-110': Row(R110, {}, True, 1_719_866, 252_887_680, (0, 0)),
  'ResNet-110-pruned-A': Row(
    R110,
    residual(110, (0.5, 0, 0), (36,)),
    True,
    1_680_698,
    212_779_648,
    (2.3, 15.9),
  ),
  'ResNet-110-pruned-B': Row(
    R110,
    residual(110, (0.5, 0.4, 0.3), (36, 38, 74)),
    True,
    1_161_722,
    155_124_352,
    (32.4, 38.6),
  ),
}


def plan(graph: ChannelGraph, kept: Mapping[str, float]) -> Plan:
  """Keeps the first filters; counts do not depend on which."""
  keep = {}
  for layer, fraction in kept.items():
    name = f'params/{layer}/kernel:3'
    # The paper rounds what is kept down: 14 of 16 less a tenth.
    keep[name] = range(int(graph.groups[name].size * fraction))
  return graph.plan(keep)


@functools.cache
def graph_of(model: nn.Module) -> ChannelGraph:
  return channel_groups(model.apply, variables(model), IMAGE)


@functools.cache
def variables(model: nn.Module):
  """Shapes of params and batch statistics."""
  return jax.eval_shape(model.init, jax.random.key(0), IMAGE)


def weights(shapes, biases: bool) -> int:
  """Counts as the paper does: kernels, perhaps biases of the last layer."""
  pattern = f'{KERNELS}|params/fc/bias' if biases else KERNELS
  pairs = zip(tree.paths(shapes), jax.tree.leaves(shapes), strict=True)
  return sum(x.size for path, x in pairs if re.fullmatch(pattern, path))
