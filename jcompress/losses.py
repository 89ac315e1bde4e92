"""Losses that compression papers train with and optax lacks."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jcompress import tree


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


def relative_error(outputs: Any, wanted: Any) -> Float[Array, '']:
  """The squared error of outputs by the squares of what they should be.

  `|o - w|^2 / |w|^2`, in float32; of trees of arrays the mean of that over the
  arrays.

  Args:
    outputs: an array or a tree, of floats.
    wanted: the same of another network.

  Raises:
    ValueError: other arrays or shapes than those that are wanted, or none.

  >>> float(relative_error(jnp.array([3.0, 5.0]), jnp.array([3.0, 4.0])))
  0.03999999910593033
  """
  if not jax.tree.leaves(wanted) or tree.form(outputs) != tree.form(wanted):
    raise ValueError(
      f'The outputs are {tree.form(outputs)}, and those that are wanted '
      f'{tree.form(wanted)}; give arrays of the same shapes.'
    )

  def relative(o, w):
    o, w = (x.astype(jnp.float32) for x in (o, w))
    energy = jnp.sum(w**2)
    return jnp.sum((o - w) ** 2) / jnp.where(energy > 0, energy, 1)

  errors = jax.tree.leaves(jax.tree.map(relative, outputs, wanted))
  return sum(errors) / jnp.float32(len(errors))


def l1(params: Any, pattern: str = tree.KERNELS) -> Float[Array, '']:
  """The sum of the magnitudes of the leaves that match, in float32.

  To be added to the loss, `loss + strength * l1(params)`, under any compressor:
  it sees what the model sees, so that pruned weights are left alone. Han et al.
  found L1 better before training again, and L2 after it.

  Args:
    params: as the loss function gets them.
    pattern: regular expression of the paths.

  Raises:
    ValueError: the pattern matches no leaf.

  >>> float(l1({'kernel': jnp.array([3.0, -4.0]), 'bias': jnp.ones(2)}, 'k.*'))
  7.0

  References:
    Han et al., Learning both Weights and Connections for Efficient Neural
    Networks, 2015, arXiv 1506.02626, section 3.1.
  """
  # The derivative of jnp.abs at zero is one, which would move what is zero.
  size = lambda w: w * jax.lax.stop_gradient(jnp.sign(w))
  return _total(size, params, pattern)


def l2(params: Any, pattern: str = tree.KERNELS) -> Float[Array, '']:
  """Half the sum of squares of the leaves that match, in float32.

  Its gradient is the weight itself, so that its factor in the loss is what is
  known as the weight decay of plain gradient descent.

  Args:
    params: see `l1`.
    pattern: see `l1`.

  Raises:
    ValueError: the pattern matches no leaf.

  >>> float(l2({'kernel': jnp.array([3.0, -4.0]), 'bias': jnp.ones(2)}, 'k.*'))
  12.5
  """
  return _total(lambda w: jnp.square(w) / 2, params, pattern)


def _total(f, params, pattern):
  leaves = jax.tree.leaves(tree.split(pattern, params)[0])
  total = sum(jnp.sum(f(w.astype(jnp.float32))) for w in leaves)
  return jnp.asarray(total, jnp.float32)
