"""The bundled models by the names that files and configs carry."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from jcompress.models.bert import Bert
from jcompress.models.bert_heads import BertClassifier, BertMasked
from jcompress.models.binarized import (
  BinarizedLeNet5,
  BinarizedMLP,
  BinarizedNet,
  BinarizedVGG,
)
from jcompress.models.compact_vgg import CompactVGG
from jcompress.models.group_resnet import GroupResNet
from jcompress.models.lenet import LeNet5, LeNet300100
from jcompress.models.recurrent import CharacterLSTM
from jcompress.models.resnet import ResNet
from jcompress.models.separable import SeparableNet
from jcompress.models.shufflenet import ShuffleNet
from jcompress.models.squeezenet import SqueezeNet
from jcompress.models.vgg import VGG16
from jcompress.models.vit import ViT


class Model(NamedTuple):
  """What a file needs to say of a bundled model.

  Attributes:
    name: as `build` takes it.
    options: the same, plain values.
  """

  name: str
  options: dict[str, Any]


def build(name: str, **options: Any) -> nn.Module:
  """Builds a bundled model.

  >>> build('resnet56', classes=3).depth
  56

  Args:
    name: `'lenet_300_100'`, `'lenet5'`, `'vgg16'`, `'resnet'` or one with its
      depth such as `'resnet20'`, `'separable'`, `'vit'`, `'character_lstm'`,
      `'bert'`, `'bert_classifier'`, `'bert_masked'`, `'binarized'`,
      `'binarized_mlp'`, `'binarized_lenet5'`, `'binarized_vgg'`,
      `'compact_vgg'`, `'group_resnet'`, `'squeezenet'`, `'shufflenet'`.
    **options: attributes of the module, such as `classes`, `widths`, `depth`;
      lists stand for tuples, strings for dtypes.

  Raises:
    ValueError: there is no model of that name, or it has no such option.
  """
  depth = re.fullmatch(r'resnet(\d+)', name)
  if depth:
    name, options = 'resnet', {'depth': int(depth[1]), **options}
  kinds = _kinds()
  if name not in kinds:
    raise ValueError(
      f'No model {name!r}; there are {", ".join(sorted(kinds))}, and resnet20 '
      'and other depths.'
    )
  fields = [f.name for f in _fields(kinds[name])]
  unknown = [key for key in options if key not in fields]
  if unknown:
    raise ValueError(
      f'The model {name!r} has no option {", ".join(unknown)}; there are '
      f'{", ".join(fields)}.'
    )
  try:
    return kinds[name](**{k: _as_field(k, v) for k, v in options.items()})
  except TypeError as error:
    raise ValueError(f'The model {name!r} is not complete: {error}.') from error


def describe(module: nn.Module) -> Model | None:
  """How to `build` a module again, or nothing if it is not bundled.

  >>> describe(LeNet300100(features=(30, 10)))
  Model(name='lenet_300_100', options={'features': [30, 10]})
  """
  names = {kind: name for name, kind in _kinds().items()}
  if type(module) not in names:
    return None
  options = {}
  for field in _fields(type(module)):
    value = getattr(module, field.name)
    if value != field.default:
      options[field.name] = _as_plain(value)
  return Model(names[type(module)], options)


def _kinds() -> dict[str, type[nn.Module]]:
  return {
    'lenet_300_100': LeNet300100,
    'lenet5': LeNet5,
    'vgg16': VGG16,
    'resnet': ResNet,
    'separable': SeparableNet,
    'vit': ViT,
    'character_lstm': CharacterLSTM,
    'bert': Bert,
    'bert_classifier': BertClassifier,
    'bert_masked': BertMasked,
    'binarized': BinarizedNet,
    'binarized_mlp': BinarizedMLP,
    'binarized_lenet5': BinarizedLeNet5,
    'binarized_vgg': BinarizedVGG,
    'compact_vgg': CompactVGG,
    'group_resnet': GroupResNet,
    'squeezenet': SqueezeNet,
    'shufflenet': ShuffleNet,
  }


def _fields(kind):
  own = 'parent', 'name'
  return [f for f in dataclasses.fields(kind) if f.name not in own]


def _as_field(name, value):
  if name == 'dtype' and isinstance(value, str):
    return jnp.dtype(value)
  if isinstance(value, Mapping):
    return {k: _as_field('', v) for k, v in value.items()}
  if isinstance(value, Sequence) and not isinstance(value, str):
    return tuple(_as_field('', v) for v in value)
  return value


def _as_plain(value):
  if hasattr(value, 'features'):  # the Width of a layer
    return _as_plain(value.features)
  if isinstance(value, Mapping):
    return {k: _as_plain(v) for k, v in value.items()}
  if isinstance(value, (tuple, list)):
    return [_as_plain(v) for v in value]
  if isinstance(value, (bool, int, float, str)) or value is None:
    return value
  return jnp.dtype(value).name
