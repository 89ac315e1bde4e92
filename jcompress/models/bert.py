"""A BERT encoder: states of tokens, and one embedding of a sentence."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Bert(nn.Module):
  """A transformer encoder that normalizes after each residual sum.

  With `x` the sum of the embeddings of words, positions and segments, layer
  norm `N` and linear maps `W`, each layer is

      y = N(x + W_out softmax(Q K^T / sqrt(width / heads)) V),
      x = N(y + W_down gelu(W_up y)),  gelu(u) = u Phi(u).

  Each layer has the kernels `attention/{query,key,value,out}/kernel`
  `[width, width]`, `up/kernel` `[width, hidden]` and `down/kernel`
  `[hidden, width]`. `KERNELS` matches these alone, not the embeddings
  `words`, `positions` and `segments`.

  Attributes:
    vocabulary: number of different tokens.
    layers: number of layers.
    heads: of the attention; divides `width`.
    width: of the states.
    hidden: units between the two maps of a layer.
    positions: the most tokens that a row may have.
    segments: number of kinds of tokens.
    epsilon: added to the variances.
    dtype: of the computation; the parameters are float32. Default: float32.
      Layer norms and attention weights are found in float32.

  References:
    Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, 2019,
      arXiv 1810.04805.
    Vaswani et al., Attention Is All You Need, 2017, arXiv 1706.03762.
    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, arXiv 1606.08415.
  """

  vocabulary: int = 30522
  layers: int = 12
  heads: int = 12
  width: int = 768
  hidden: int = 3072
  positions: int = 512
  segments: int = 2
  epsilon: float = 1e-12
  dtype: Any = None

  @nn.compact
  def __call__(
    self,
    tokens: Int[Array | np.ndarray, 'batch tokens'],
    mask: Bool[Array | np.ndarray, 'batch tokens'] | None = None,
    segments: Int[Array | np.ndarray, 'batch tokens'] | None = None,
  ) -> Float[Array, 'batch tokens width']:
    """Computes the state of each token.

    Args:
      tokens: `0 .. vocabulary - 1`.
      mask: of the tokens that may be looked at; the states of the others mean
        nothing. Default: all.
      segments: `0 .. segments - 1`. Default: all 0.

    Raises:
      ValueError: `heads` does not divide `width`, or a row has more than
        `positions` tokens.
    """
    if self.width % self.heads:
      raise ValueError(
        f'width {self.width} is no multiple of heads {self.heads}; each head '
        'takes an equal part of it.'
      )
    if tokens.shape[1] > self.positions:
      raise ValueError(
        f'There are {tokens.shape[1]} tokens a row and only {self.positions} '
        'positions; cut the rows or raise positions.'
      )
    if segments is None:
      segments = jnp.zeros_like(tokens)
    embed = lambda size, name: nn.Embed(
      size, self.width, dtype=self.dtype, name=name
    )
    x = embed(self.vocabulary, 'words')(tokens)
    x += embed(self.positions, 'positions')(jnp.arange(tokens.shape[1]))
    x += embed(self.segments, 'segments')(segments)
    x = _norm(self, 'norm')(x)
    for i in range(self.layers):
      x = Layer(
        self.heads, self.hidden, self.epsilon, self.dtype, name=f'layer_{i}'
      )(x, mask)
    return x


class Layer(nn.Module):
  """One layer of `Bert`; the attributes are those there."""

  heads: int
  hidden: int
  epsilon: float = 1e-12
  dtype: Any = None

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'batch tokens width'],
    mask: Bool[Array | np.ndarray, 'batch tokens'] | None = None,
  ) -> Float[Array, 'batch tokens width']:
    dense = lambda features, name: nn.Dense(
      features, dtype=self.dtype, name=name
    )
    mixed = Attention(self.heads, self.dtype, name='attention')(x, mask)
    x = _norm(self, 'attention_norm')(x + mixed)
    up = nn.gelu(dense(self.hidden, 'up')(x), approximate=False)
    return _norm(self, 'norm')(x + dense(x.shape[-1], 'down')(up))


class Attention(nn.Module):
  """Each token sees a mean of the values of all tokens, one a head.

  Attributes:
    heads: number of means; divides the width of the input.
    dtype: of the computation; the attention weights are found in float32.
  """

  heads: int
  dtype: Any = None

  @nn.compact
  def __call__(
    self,
    x: Float[Array, 'batch tokens width'],
    mask: Bool[Array | np.ndarray, 'batch tokens'] | None = None,
  ) -> Float[Array, 'batch tokens width']:
    batch, tokens, width = x.shape
    dense = lambda name: nn.Dense(width, dtype=self.dtype, name=name)
    split = lambda y: y.reshape(batch, tokens, self.heads, width // self.heads)
    query, key, value = (split(dense(n)(x)) for n in ('query', 'key', 'value'))
    scores = jnp.einsum('bqhd,bkhd->bhqk', query, key).astype(jnp.float32)
    scores /= np.sqrt(width // self.heads)
    if mask is not None:
      lowest = jnp.finfo(scores.dtype).min
      scores = jnp.where(mask[:, None, None, :], scores, lowest)
    share = jax.nn.softmax(scores).astype(value.dtype)
    mixed = jnp.einsum('bhqk,bkhd->bqhd', share, value)
    return dense('out')(mixed.reshape(batch, tokens, width))


def sentence_embedding(
  states: Float[Array, 'batch tokens width'],
  mask: Bool[Array | np.ndarray, 'batch tokens'],
) -> Float[Array, 'batch width']:
  """The mean state of the tokens of each row, scaled to length one, in float32.

  `e = m / |m|`, `m = mean of states[i] over mask[i]`. The inner product of two
  embeddings is the cosine of their angle. A row without tokens gives zeros.

  >>> states = jnp.array([[[3.0, 1.0], [3.0, 7.0], [9.0, 9.0]]])
  >>> sentence_embedding(states, jnp.array([[True, True, False]]))
  Array([[0.6, 0.8]], dtype=float32)

  References:
    Reimers and Gurevych, Sentence-BERT, 2019, arXiv 1908.10084, section 3.
  """
  total = jnp.where(mask[..., None], states.astype(jnp.float32), 0).sum(1)
  mean = total / jnp.maximum(mask.sum(1), 1)[:, None]
  length = jnp.linalg.norm(mean, axis=-1, keepdims=True)
  return mean / jnp.where(length > 0, length, 1)


def _norm(layer, name):
  # The fast variance, E x^2 - (E x)^2, loses what so small an epsilon keeps.
  return nn.LayerNorm(
    layer.epsilon, dtype=layer.dtype, use_fast_variance=False, name=name
  )
