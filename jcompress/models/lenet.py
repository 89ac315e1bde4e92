"""The two LeNets on which the compression literature reports its results."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num


class LeNet300100(nn.Module):
  """LeNet-300-100: two hidden layers of 300 and 100 rectified units.

  For 784 inputs and 10 classes 266,610 parameters: `fc1` 235,500, `fc2`
  30,100, `fc3` 1,010.

  Attributes:
    classes: number of logits.
    dtype: of the computation; the parameters are float32. Default: float32.
    features: units of `fc1` and `fc2`.
    dropout: fraction of the units of `fc1` and of `fc2` that training drops.

  References:
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.
    Han et al., Learning both Weights and Connections for Efficient Neural
      Networks, 2015, arXiv 1506.02626, table 3.
  """

  classes: int = 10
  dtype: Any = None
  features: tuple[int, int] = (300, 100)
  dropout: tuple[float, float] = (0.0, 0.0)

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch ...'], train: bool = False
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: images `[batch, 28, 28, 1]` or rows `[batch, 784]`.
      train: drops units; where a rate is not zero, that takes
        `rngs={'dropout': key}`.
    """
    x = x.reshape(x.shape[0], -1)
    layers = zip(self.features, self.dropout, strict=True)
    for i, (units, rate) in enumerate(layers, start=1):
      x = nn.relu(nn.Dense(units, dtype=self.dtype, name=f'fc{i}')(x))
      x = nn.Dropout(rate, deterministic=not train)(x)
    return nn.Dense(self.classes, dtype=self.dtype, name='fc3')(x)


class LeNet5(nn.Module):
  """LeNet-5 as in Caffe, which the papers mean: wider than LeCun's, and linear
  up to the one rectified layer `fc1`, but for the pooling.

  For 28x28 images and 10 classes 431,080 parameters: `conv1` 520, `conv2`
  25,050, `fc1` 400,500, `fc2` 5,010.

  Attributes:
    classes: number of logits.
    dtype: of the computation; the parameters are float32. Default: float32.
    features: filters of `conv1` and `conv2`, and units of `fc1`.

  References:
    Jia et al., Caffe, 2014, arXiv 1408.5093: examples/mnist/lenet.prototxt.
    Han et al., Learning both Weights and Connections for Efficient Neural
      Networks, 2015, arXiv 1506.02626, table 4.
  """

  classes: int = 10
  dtype: Any = None
  features: tuple[int, int, int] = (20, 50, 500)

  @nn.compact
  def __call__(
    self, x: Num[Array | np.ndarray, 'batch h w channels']
  ) -> Num[Array, 'batch out']:
    """Computes logits `[batch, classes]`.

    Args:
      x: images `[batch, 28, 28, 1]`.
    """
    conv = lambda features, name: nn.Conv(
      features, (5, 5), padding='VALID', dtype=self.dtype, name=name
    )
    first, second, units = self.features
    x = max_pool(conv(first, 'conv1')(x))
    x = max_pool(conv(second, 'conv2')(x))
    x = x.reshape(x.shape[0], -1)
    x = nn.relu(nn.Dense(units, dtype=self.dtype, name='fc1')(x))
    return nn.Dense(self.classes, dtype=self.dtype, name='fc2')(x)


def max_pool(x: Num[Array, 'b h w c']) -> Num[Array, 'b half_h half_w c']:
  """The maximum of each 2x2 window; odd edges are dropped.

  On CPU the gradient of these reductions takes half the time of that of a
  window reduction.
  """
  b, h, w, c = x.shape
  x = x[:, : h // 2 * 2, : w // 2 * 2]
  # One axis at a time: sharding can be inferred through such reshapes.
  x = jnp.max(x.reshape(b, h // 2, 2, w // 2 * 2, c), 2)
  return jnp.max(x.reshape(b, h // 2, w // 2, 2, c), 3)
