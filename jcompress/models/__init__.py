"""Models in Flax linen, by the names that files and configs carry."""

from typing import Any

import flax.linen as nn

from jcompress.models.binarized import BinarizedLeNet5 as BinarizedLeNet5
from jcompress.models.binarized import BinarizedMLP as BinarizedMLP
from jcompress.models.binarized import BinarizedNet as BinarizedNet
from jcompress.models.binarized import BinarizedVGG as BinarizedVGG
from jcompress.models.lenet import LeNet5 as LeNet5
from jcompress.models.lenet import LeNet300100 as LeNet300100
from jcompress.models.packed_network import PackedNetwork as PackedNetwork
from jcompress.models.packed_network import jit_packed as jit_packed
from jcompress.models.packed_network import pack_network as pack_network
from jcompress.models.recurrent import CharacterLSTM as CharacterLSTM
from jcompress.models.resnet import ResNet as ResNet
from jcompress.models.separable import SeparableNet as SeparableNet
from jcompress.models.vgg import VGG16 as VGG16
from jcompress.models.vit import ViT as ViT


def build(name: str, classes: int = 10, dtype: Any = None) -> nn.Module:
  """Builds a bundled model by name.

  Args:
    name: 'lenet_300_100' or 'lenet5'.
    classes: number of outputs.
    dtype: in which it computes; that of the params if not given.

  Raises:
    ValueError: there is no model of that name.
  """
  models = {'lenet_300_100': LeNet300100, 'lenet5': LeNet5}
  if name not in models:
    raise ValueError(f'No model {name!r}; there are {sorted(models)}.')
  return models[name](classes=classes, dtype=dtype)
