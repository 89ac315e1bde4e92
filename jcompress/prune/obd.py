"""Optimal Brain Damage: what each weight's removal costs, to second order."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jcompress import tree
from jcompress.mask import apply_mask
from jcompress.prune.threshold import largest_mask


def obd_saliency(params: Any, diagonal: Any) -> Any:
  """Predicts the increase of the loss when a weight alone is set to zero.

  `s = h w^2 / 2` with `h` the diagonal of the Hessian: at a minimum, as far as
  the loss is a quadratic without cross terms.

  Args:
    params: tree of arrays, trained to a minimum.
    diagonal: tree like `params`: from `back_propagated_diag` (the paper's),
      `exact_diag`, or `curvature.gauss_newton_diag`, `curvature.hessian_diag`,
      `curvature.fisher_diag`. Entries below zero, which occur away from a
      minimum and in random estimates, count as zero.

  Returns:
    float32 tree like `params`.

  Raises:
    ValueError: the two trees differ in paths or shapes.

  >>> s = obd_saliency(jnp.array([-1.25, -1.25, -1, 1.5]),
  ...                  jnp.array([3.0, 8, 13, 9]))
  >>> print(s)
  [ 2.34375  6.25     6.5     10.125  ]

  References:
    LeCun, Denker & Solla, Optimal Brain Damage, NIPS 2, 1990.
  """
  forms = [
    {
      path: x.shape
      for path, x in zip(tree.paths(t), jax.tree.leaves(t), strict=True)
    }
    for t in (params, diagonal)
  ]
  if forms[0] != forms[1]:
    raise ValueError(
      f'The diagonal has the leaves {forms[1]}, the params {forms[0]}; they '
      'must be the same.'
    )
  return jax.tree.map(
    lambda w, h: jnp.maximum(h, 0) * jnp.square(w.astype(jnp.float32)) / 2,
    params,
    diagonal,
  )


def obd_prune(
  params: Any, diagonal: Any, *, sparsity: float
) -> tuple[Any, Any]:
  """Sets the weights of least saliency to zero, all leaves ranked together.

  Args:
    params: see `obd_saliency`. For kernels only, give
      `tree.split(KERNELS, params)[0]`, and so for the diagonal.
    diagonal: see `obd_saliency`.
    sparsity: fraction of the weights to prune, `0 .. 1`; those that are zero
      already count, and stay.

  Returns:
    The params and the mask of what is left, ready for `with_mask(mask)`; train
    on under it, and prune again.

  Raises:
    ValueError: the sparsity is out of range, or the trees do not match.
  """
  if not 0 <= sparsity <= 1:
    raise ValueError(f'sparsity is {sparsity}; it must lie in 0 .. 1.')
  saliency = obd_saliency(params, diagonal)
  # Shifted by a hair, so that weights without saliency outrank the zeros.
  tiny = jnp.finfo(jnp.float32).tiny
  rank = jax.tree.map(
    lambda s, w: jnp.where(w != 0, jnp.maximum(s, tiny), 0), saliency, params
  )
  size = sum(w.size for w in jax.tree.leaves(params))
  mask = jax.jit(largest_mask)(rank, size - round(sparsity * size))
  mask = jax.tree.map(lambda m, w: m & (w != 0), mask, params)
  return apply_mask(params, mask), mask


def exact_diag(
  loss_fn: Callable[[Any, Any], Float[Array, '']], params: Any, batch: Any
) -> Any:
  """The diagonal of the Hessian of a loss, one product for each weight.

  For small networks: it takes as many passes over the batch as there are
  weights. `curvature.hessian_diag` estimates it in a few.

  Args:
    loss_fn: `(params, batch) -> scalar`.
    params: where, `n` weights in all.
    batch: what the loss takes.
  """
  treedef = jax.tree.structure(params)

  def diagonal(params, batch):
    grad = jax.grad(lambda p: loss_fn(p, batch))
    zeros = jax.tree.leaves(jax.tree.map(jnp.zeros_like, params))

    def entry(leaf, i):
      direction = zeros.copy()
      flat = zeros[leaf].ravel().at[i].set(1)
      direction[leaf] = flat.reshape(zeros[leaf].shape)
      _, row = jax.jvp(grad, (params,), (treedef.unflatten(direction),))
      return jax.tree.leaves(row)[leaf].ravel()[i]

    return treedef.unflatten(
      jax.lax.map(lambda i, k=k: entry(k, i), jnp.arange(z.size)).reshape(
        z.shape
      )
      for k, z in enumerate(zeros)
    )

  return jax.jit(diagonal)(params, batch)


def back_propagated_diag(
  params: dict[str, Any],
  inputs: Float[Array | np.ndarray, 'examples in'],
  targets: Float[Array | np.ndarray, 'examples out']
  | Int[Array | np.ndarray, ' examples'],
  *,
  layers: Sequence[str],
  activation: Callable[[Array], Array] = jnp.tanh,
  output: Callable[[Array], Array] | None = None,
  loss: str = 'squared',
  levenberg_marquardt: bool = True,
) -> Any:
  """The paper's diagonal: second derivatives propagated back as errors are.

  One backward pass over a network of dense layers. It neglects how the units of
  one layer interact in the layers above. With one hidden layer, outputs that do
  not interact (no softmax) and without the Levenberg-Marquardt approximation
  the result is the exact diagonal; in deeper networks it is not.

  Args:
    params: `{layer: {'kernel': [in, out], 'bias': [out]}}`; biases may lack.
    inputs: of all examples.
    targets: outputs that are wanted, or, for cross entropy, the classes.
    layers: the keys of `params`, from the input to the output.
    activation: of the hidden layers, entry by entry.
    output: activation of the last layer; none without it.
    loss: `'squared'`, the sum of `(d - x)^2` over the outputs (no half), or
      `'cross_entropy'` of softmax of the outputs; mean over the examples.
    levenberg_marquardt: drops the second derivatives of activations, so that
      no entry is negative.

  Returns:
    Tree like `params`.

  Raises:
    ValueError: layers that are not those of `params`, that do not fit each
      other, or an unknown loss.

  References:
    LeCun, Denker & Solla, Optimal Brain Damage, NIPS 2, 1990, section 2.
  """
  _require_chain(params, layers, inputs.shape[-1])
  if loss not in ('squared', 'cross_entropy'):
    raise ValueError(f"loss is {loss!r}; 'squared' or 'cross_entropy'.")
  last = output or (lambda a: a)
  x, taken, sums = inputs, [], []
  for name in layers:
    a = x @ params[name]['kernel'] + params[name].get('bias', 0)
    taken.append(x)
    sums.append(a)
    x = (last if name == layers[-1] else activation)(a)

  first, second = _derivatives(last, a)
  if loss == 'squared':
    slope, bend = -2 * (targets - x), jnp.full_like(x, 2)
  else:
    p = jax.nn.softmax(x)
    slope = p - jax.nn.one_hot(targets, x.shape[-1], dtype=x.dtype)
    bend = p * (1 - p)
  curve = bend * first**2  # eq. 8
  if not levenberg_marquardt:
    curve = curve + slope * second
  diagonal = {}
  for i in reversed(range(len(layers))):
    kernel = params[layers[i]]['kernel']
    diagonal[layers[i]] = {
      'kernel': jnp.square(taken[i]).T @ curve / len(inputs)  # eq. 6
    }
    if 'bias' in params[layers[i]]:
      diagonal[layers[i]]['bias'] = curve.mean(0)
    if i:
      slope = (slope * first) @ kernel.T
      first, second = _derivatives(activation, sums[i - 1])
      curve = first**2 * (curve @ jnp.square(kernel).T)  # eq. 7
      if not levenberg_marquardt:
        curve = curve + slope * second
  return jax.tree.map(lambda _, h: h, params, diagonal)


def _derivatives(f, a):
  """First and second derivative of a function of each entry."""
  ones = jnp.ones_like(a)
  first = lambda a: jax.jvp(f, (a,), (ones,))[1]
  return jax.jvp(first, (a,), (ones,))


def _require_chain(params, layers, size):
  if sorted(layers) != sorted(params) or not layers:
    raise ValueError(
      f'layers are {list(layers)}; they must be the keys of the params, '
      f'{list(params)}, from the input to the output.'
    )
  for name in layers:
    shape = params[name]['kernel'].shape
    if len(shape) != 2 or shape[0] != size:
      raise ValueError(
        f'The kernel of {name} is {list(shape)}; after {size} outputs before '
        f'it, it must be [{size}, out].'
      )
    size = shape[1]
