"""The recurrent network on which loss-aware binarization reports results."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jcompress.models.binary_layers import Activation, BinaryDense

_LAYERS = ('input', 'recurrent', 'output')


def _uniform(key, shape, dtype=jnp.float32):
  return jax.random.uniform(key, shape, dtype, -0.08, 0.08)


class CharacterLSTM(nn.Module):
  """Predicts the next character of a text with one layer of LSTM units.

  With the gates `i, f, g, o = W_x x + W_h a(h) + b`,

      c = sigmoid(f) c + sigmoid(i) tanh(g),  h = sigmoid(o) tanh(c),

  and the logits `W_o a(h)` plus a bias. The kernels are `input/kernel`
  `[vocabulary, 4 features]`, `cell/recurrent/kernel` `[features, 4 features]`
  and `output/kernel` `[features, vocabulary]`. Binary ones need a scale: signs
  alone are so large that gradients explode.

  Attributes:
    vocabulary: number of characters.
    features: number of units.
    activation: `a`, see `BinaryDense`; `'sign'` in the paper's LAB2.
    float_layers: of `'input'`, `'recurrent'`, `'output'` those that are not
      binarized, see `binary_kernels`.
    dtype: of the computation; the parameters are float32. Default: float32.

  References:
    Hou et al., Loss-aware Binarization of Deep Networks, 2017,
      arXiv 1611.01600.
    Hochreiter and Schmidhuber, Long Short-Term Memory, 1997.
  """

  vocabulary: int
  features: int = 512
  activation: Activation = 'none'
  float_layers: tuple[str, ...] = ('output',)
  dtype: Any = None

  @property
  def binary_kernels(self) -> str:
    """Pattern of the kernels that are to be binarized.

    Raises:
      ValueError: `float_layers` has another name, or leaves nothing.
    """
    names = [n for n in _LAYERS if n not in self.float_layers]
    if not names or len(names) + len(set(self.float_layers)) != len(_LAYERS):
      raise ValueError(
        f'float_layers is {self.float_layers}; it may have some of {_LAYERS}, '
        'not all.'
      )
    return rf'(?:.*/)?(?:{"|".join(names)})/kernel'

  @nn.compact
  def __call__(
    self,
    tokens: Int[Array | np.ndarray, 'batch time'],
    carry: Any = None,
    train: bool = False,
  ) -> tuple[Float[Array, 'batch time classes'], Any]:
    """Computes the logits of the next characters, and the last state.

    Args:
      tokens: `0 .. vocabulary - 1`.
      carry: the state that a call before returned, for texts that go on.
        Default: zeros.
      train: see `BinaryDense`.
    """
    dense = lambda features, activation, name: BinaryDense(
      features,
      activation=activation,
      use_bias=True,
      dtype=self.dtype,
      kernel_init=_uniform,
      name=name,
    )
    letters = jax.nn.one_hot(tokens, self.vocabulary, dtype=self.dtype)
    gates = dense(4 * self.features, 'none', 'input')(letters, train)
    if carry is None:
      zeros = jnp.zeros_like(gates[:, 0, : self.features])
      carry = zeros, zeros
    scan = nn.scan(
      _Cell,
      variable_broadcast='params',
      split_rngs={'params': False, 'binarize': True},
      in_axes=(1, nn.broadcast),
      out_axes=1,
    )
    cell = scan(self.features, self.activation, self.dtype, name='cell')
    carry, hidden = cell(carry, gates, train)
    logits = dense(self.vocabulary, self.activation, 'output')(hidden, train)
    return logits, carry


class _Cell(nn.Module):
  features: int
  activation: Activation
  dtype: Any

  @nn.compact
  def __call__(self, carry, gates, train):
    cell, hidden = carry
    recurrent = BinaryDense(
      4 * self.features,
      activation=self.activation,
      dtype=self.dtype,
      kernel_init=_uniform,
      name='recurrent',
    )
    i, f, g, o = jnp.split(gates + recurrent(hidden, train), 4, -1)
    cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
    hidden = nn.sigmoid(o) * jnp.tanh(cell)
    return (cell, hidden), hidden
