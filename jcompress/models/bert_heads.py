"""BERT with a head: classes of texts, and words that were hidden."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jcompress.models.bert import Bert


class BertClassifier(Bert):
  """Logits of a text: a linear map of the mean state of its tokens.

  The encoder has the attributes of `Bert` and lies under `encoder`, the map is
  `fc`.

  Attributes:
    classes: number of logits.
  """

  classes: int = 2

  @nn.compact
  def __call__(  # type: ignore[override]
    self,
    tokens: Int[Array | np.ndarray, 'batch tokens'],
    mask: Bool[Array | np.ndarray, 'batch tokens'] | None = None,
  ) -> Float[Array, 'batch classes']:
    """Computes logits.

    Args:
      tokens: `0 .. vocabulary - 1`.
      mask: of the tokens that count; a row needs one at least. Default: all.
    """
    states = _encoder(self)(tokens, mask)
    weight = jnp.ones(tokens.shape) if mask is None else mask.astype('float32')
    total = jnp.einsum('btw,bt->bw', states.astype(jnp.float32), weight)
    mean = total / jnp.maximum(weight.sum(1), 1)[:, None]
    return nn.Dense(self.classes, dtype=self.dtype, name='fc')(mean)


class BertMasked(Bert):
  """Logits of the word at each place, by the embeddings of all words.

  The logits are `E N(gelu(W x)) + b`, with `E` the embeddings `words` of the
  encoder, `W` the map `transform` and `N` the norm `transform_norm`.

  References:
    Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, 2019,
      arXiv 1810.04805, section 3.1.
  """

  @nn.compact
  def __call__(  # type: ignore[override]
    self,
    tokens: Int[Array | np.ndarray, 'batch tokens'],
    mask: Bool[Array | np.ndarray, 'batch tokens'] | None = None,
  ) -> Float[Array, 'batch tokens vocabulary']:
    """Computes logits; arguments as of `BertClassifier`."""
    encoder = _encoder(self)
    x = encoder(tokens, mask)
    x = nn.Dense(self.width, dtype=self.dtype, name='transform')(x)
    x = nn.gelu(x, approximate=False)
    x = nn.LayerNorm(self.epsilon, dtype=self.dtype, name='transform_norm')(x)
    words = encoder.variables['params']['words']['embedding']
    zeros = nn.initializers.zeros
    bias = self.param('bias', zeros, (self.vocabulary,))
    return x @ words.T.astype(x.dtype) + bias.astype(x.dtype)


def _encoder(head):
  own = [f.name for f in dataclasses.fields(Bert)]
  options = {n: getattr(head, n) for n in own if n not in ('parent', 'name')}
  return Bert(**options, name='encoder')
