"""Activations that make several maps of each filter."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def crelu(x: Float[Array, '...'], axis: int = -1) -> Float[Array, '...']:
  """Concatenated rectifiers: `[relu(x), relu(-x)]`.

  Early filters come in opposite pairs; with both phases half of them do. No
  information is lost: with `p, n` the two halves `x = p - n` and `|x| = p + n`.
  A norm belongs before it.

  Args:
    x: responses.
    axis: of the channels, which double.

  >>> crelu(jnp.array([-1.5, 0.0, 2.0])).tolist()
  [0.0, 0.0, 2.0, 1.5, 0.0, 0.0]

  References:
    Shang et al., Understanding and Improving Convolutional Neural Networks via
    Concatenated Rectified Linear Units, 2016, arXiv 1603.05201.
  """
  return jnp.concatenate([jax.nn.relu(x), jax.nn.relu(-x)], axis)


def multi_bias(
  x: Float[Array, '...'], biases: Float[Array, '...']
) -> Float[Array, '...']:
  """Several rectified maps of each response: `relu(x_c + b_cm)`.

  The layer before has an `m`th of the filters. Biases must start apart: equal
  ones learn apart through the next layer alone.

  Args:
    x: responses `[..., c]`.
    biases: of each channel, `[c, m]`.

  Returns:
    The maps of a channel side by side: `channel * m + number`.

  Raises:
    ValueError: the biases are not of these channels.

  >>> biases = jnp.array([[0.0, 1.0], [-1.0, 0.5], [0.0, 0.0]])
  >>> multi_bias(jnp.array([-1.5, 0.0, 2.0]), biases).tolist()
  [0.0, 0.0, 0.0, 0.5, 2.0, 2.0]

  References:
    Li et al., Multi-Bias Non-linear Activation in Deep Neural Networks, 2016,
    arXiv 1604.00676.
  """
  if biases.ndim != 2 or biases.shape[0] != x.shape[-1]:
    raise ValueError(
      f'Biases {list(biases.shape)} for responses {list(x.shape)}: they must '
      f'be [{x.shape[-1]}, number].'
    )
  maps = x[..., None] + biases.astype(x.dtype)
  return jax.nn.relu(maps).reshape(*x.shape[:-1], biases.size)
