"""Second derivatives of a loss, as far as compression needs them.

All stream over batches in a few times the memory of the params (`input_hessian`
of its results). Batches count by the length of first axes.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jcompress import tree
from jcompress.finite import require_finite
from jcompress.numerics import exact
from jcompress.traced import layers as layers_lib
from jcompress.traced.example_gradients import square_sums

Params = Any
Batch = Any
Loss = Callable[[Params, Batch], jax.Array]
_CHUNK = 32  # examples whose gradients are taken together


def hvp(loss_fn: Loss, params: Params, batch: Batch, vector: Params) -> Params:
  """The Hessian of the loss times a vector, without the Hessian.

  Args:
    loss_fn: `(params, batch) -> scalar`.
    params: where.
    batch: what the loss takes.
    vector: tree of the structure, shapes and dtypes of the params.

  References:
    Pearlmutter, Fast Exact Multiplication by the Hessian, 1994.
  """
  grad = jax.grad(lambda p: loss_fn(p, batch))
  return jax.jvp(grad, (params,), (vector,))[1]


def hessian_diag(
  loss_fn: Loss,
  params: Params,
  batches: Iterable[Batch],
  *,
  samples: int = 32,
  seed: int = 0,
) -> Params:
  """Estimates the diagonal of the Hessian of the mean loss (Hutchinson).

  `E[z * Hz]` over random signs `z`. Each entry is unbiased; its variance is the
  sum of squares of the rest of its row over the number of draws, so that small
  entries beside large ones come out negative now and then.

  Args:
    loss_fn: `(params, batch) -> scalar`, the mean over the examples.
    params: where.
    batches: what the loss takes; at least one.
    samples: draws of signs for each batch, `>= 1`.
    seed: of the draws.

  Returns:
    float32 tree of the structure and shapes of the params.

  Raises:
    ValueError: no batch, an empty one, or samples out of range.

  References:
    Bekas et al., An estimator for the diagonal of a matrix, 2007.
  """
  if samples < 1:
    raise ValueError(f'samples is {samples}; it must be >= 1.')

  def one(params, batch, key):
    signs = optax.tree.random_like(key, params, jax.random.rademacher)
    product = hvp(loss_fn, params, batch, signs)
    entry = lambda z, h: (z * h).astype(jnp.float32)
    return jax.tree.map(entry, signs, product)

  # Not a scan: convolutions in a loop's body are several times slower on CPU.
  repeated = (batch for batch in batches for _ in range(samples))
  return mean_over(one, params, repeated, jax.random.key(seed))


def fisher_diag(
  loss_fn: Loss, params: Params, batches: Iterable[Batch]
) -> Params:
  """The diagonal of the empirical Fisher: mean squares of example gradients.

  Args:
    loss_fn: `(params, batch) -> scalar`; it is called on batches of one
      example, with the first axis kept. A loss of the model's own samples in
      place of labels gives the true Fisher.
    params: where.
    batches: what the loss takes; at least one.

  Returns:
    float32 tree of the structure and shapes of the params.

  Raises:
    ValueError: no batch, or an empty one.
  """

  def one(params, batch, key):
    del key
    model = lambda p, example: loss_fn(p, _as_batch(example))[None]
    sums = square_sums(model, params, batch, lambda outputs: jnp.ones((1, 1)))
    return jax.tree.map(lambda s: s / _size(batch), sums)

  return mean_over(one, params, _chunks(batches))


def gauss_newton_diag(
  apply_fn: Callable[[Params, Any], Any],
  params: Params,
  batches: Iterable[Batch],
  *,
  loss: str = 'cross_entropy',
) -> Params:
  """The diagonal of the Gauss-Newton matrix of the mean loss, exactly.

  `J^T H J` with `J` the derivative of the outputs by the params and `H` the
  Hessian of the loss by the outputs. Never negative, and needs no labels: they
  do not enter `H`. One backward pass for each example and output.

  Args:
    apply_fn: `(params, inputs) -> outputs [batch, classes]`.
    params: where.
    batches: inputs; at least one.
    loss: `'cross_entropy'` of softmax of the outputs: `H = diag(p) - p p^T`;
      `'squared'`, half the squared error, summed over the outputs: `H = 1`.

  Returns:
    float32 tree of the structure and shapes of the params.

  Raises:
    ValueError: no batch, an empty one, or an unknown loss.

  References:
    Schraudolph, Fast Curvature Matrix-Vector Products, 2002.
  """
  if loss not in ('cross_entropy', 'squared'):
    raise ValueError(
      f"loss is {loss!r}; it must be 'cross_entropy' or 'squared'."
    )

  def roots(outputs):
    rows = jnp.eye(outputs.size, dtype=outputs.dtype)
    if loss == 'cross_entropy':
      p = jax.nn.softmax(outputs)
      # These rows r have sum(r r^T) = diag(p) - p p^T.
      rows = jnp.sqrt(p)[:, None] * (rows - p)
    return rows

  def one(params, batch, key):
    del key
    model = lambda p, example: apply_fn(p, _as_batch(example))[0]
    sums = square_sums(model, params, batch, roots)
    return jax.tree.map(lambda s: s / _size(batch), sums)

  return mean_over(one, params, _chunks(batches))


def input_hessian(
  apply_fn: Callable[[Params, Any], Any],
  params: Params,
  batches: Iterable[Batch],
  *,
  pattern: str = tree.KERNELS,
) -> dict[str, Float[Array, 'groups inputs inputs']]:
  """Second moments `X^T X / n` of the inputs of each layer.

  With rows `X [n, in]` (examples, or the patches of all positions of a
  convolution), the Hessian of the mean squared error of a layer's response is
  twice this, for each output unit the same.

  Args:
    apply_fn: `(params, inputs) -> outputs`.
    params: of the model whose inputs are wanted.
    batches: inputs; at least one.
    pattern: which kernels.

  Returns:
    For each kernel path, float32, one matrix for each group of the layer, in
    the order of `Layer.matrix`.

  Raises:
    ValueError: no batch, an empty one, NaN or inf in the inputs of a layer; the
      pattern matches no leaf, or one that no layer multiplies with, or that
      more than one does.
  """
  wanted = tree.paths(tree.split(pattern, params)[0])

  def one(params, batch, key):
    del key
    found, moments = [], {}

    def call(layer, x, kernel):
      if layer.path in wanted and layer.kind != 'embed':
        rows = layer.unfold(x).astype(jnp.float32)
        moments[layer.path] = exact.second_moments(rows)
        found.append(layer)
      return layer(x, kernel)

    layers_lib.evaluate(apply_fn, params, batch, call=call)
    layers_lib.only(found, wanted)
    return moments

  moments = mean_over(one, params, batches)
  require_finite(moments, 'the inputs of its layer')
  return moments


def mean_over(one, params, batches, key=None):
  """Mean of `one(params, batch, key)`, batches weighted by their examples."""
  one, total, count = jax.jit(one), None, 0
  for i, batch in enumerate(batches):
    size = _size(batch)
    value = one(
      params, batch, key if key is None else jax.random.fold_in(key, i)
    )
    scaled = jax.tree.map(lambda v, n=size: v * n, value)
    total = scaled if total is None else jax.tree.map(jnp.add, total, scaled)
    count += size
  if not count:
    raise ValueError('There are no batches; give at least one.')
  return jax.tree.map(lambda t: t / count, total)


def _size(batch):
  shapes = [jnp.shape(x) for x in jax.tree.leaves(batch)]
  if not shapes or not shapes[0] or not shapes[0][0]:
    raise ValueError(
      f'A batch has arrays of shapes {shapes}; the first axis must be that of '
      'the examples, at least one.'
    )
  return shapes[0][0]


def _chunks(batches):
  """Pieces of at most `_CHUNK` examples."""
  for batch in batches:
    for start in range(0, _size(batch), _CHUNK):
      yield jax.tree.map(lambda x, s=start: x[s : s + _CHUNK], batch)


def _as_batch(example):
  return jax.tree.map(lambda x: x[None], example)
