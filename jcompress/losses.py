"""Losses that compression papers train with and optax lacks."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def squared_hinge(
  outputs: Float[Array, '*batch classes'],
  targets: Float[Array, '...'],
) -> Float[Array, '']:
  """Mean over batch and classes of `max(0, 1 - t o)^2`, an L2 SVM.

  The output layer of BinaryConnect, binarized and loss-aware networks, after a
  batch norm.

  Args:
    outputs: `o`, of the last layer, as they are.
    targets: `t`, `+1` for the class and `-1` for the others, never zero; see
      `signed_one_hot`.

  >>> o = jnp.array([0.5, -2.0, 0.2])
  >>> round(float(squared_hinge(o, jnp.array([1.0, -1.0, -1.0]))), 6)
  0.563333

  Raises:
    ValueError: outputs and targets of different shapes.

  References:
    Courbariaux et al., BinaryConnect, 2015, arXiv 1511.00363.
  """
  if outputs.shape != targets.shape:
    raise ValueError(
      f'outputs are {list(outputs.shape)}, targets {list(targets.shape)}; give '
      'a target of +1 or -1 for each output: signed_one_hot(labels, classes).'
    )
  return jnp.mean(jnp.maximum(0, 1 - outputs * targets) ** 2)


def signed_one_hot(
  labels: Int[Array, '*batch'], classes: int
) -> Float[Array, '*batch {classes}']:
  """`+1` at the label, `-1` elsewhere.

  >>> signed_one_hot(jnp.array([2, 0]), 3).tolist()
  [[-1.0, -1.0, 1.0], [1.0, -1.0, -1.0]]
  """
  return jnp.where(labels[..., None] == jnp.arange(classes), 1.0, -1.0)
