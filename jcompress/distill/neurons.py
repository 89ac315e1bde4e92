"""Units of a teacher that are worth following."""

import numpy as np
from jaxtyping import Float, Int


def select_neurons(
  responses: Float[np.ndarray, '... units'],
  count: int,
  strength: float = 1.0,
) -> Int[np.ndarray, ' count']:
  """Chooses units that vary much and say little that others say.

  One by one, the largest `variance - strength * correlation`: the variance as
  a share of the largest one, the correlation, without its sign, with that
  chosen unit with which it is largest. This is a plain substitute: Luo et al.
  choose by the labels of faces, and solve for all units at once.

  Args:
    responses: of a layer, on some examples.
    count: of units, `1 .. units`.
    strength: of the correlation, at least 0; with 0 the largest variances.

  Returns:
    Units in increasing order, for `hint(..., keep=...)`.

  Raises:
    ValueError: `count` out of range.

  >>> a, b = np.array([-2.0, 2, -2, 2]), np.array([-1.0, -1, 1, 1])
  >>> select_neurons(np.stack([a, 0.9 * a, b], -1), 2)
  array([0, 2])

  References:
    Luo et al., Face Model Compression by Distilling Knowledge from Neurons,
      AAAI 2016.
  """
  x = np.asarray(responses, np.float64)
  x = x.reshape(-1, x.shape[-1])
  if not 1 <= count <= x.shape[1]:
    raise ValueError(f'count is {count}; it must lie in 1 .. {x.shape[1]}.')
  x = x - x.mean(0)
  deviation = np.sqrt(np.mean(x**2, 0))
  # Of a constant unit the correlation is zero.
  unit = np.divide(x, deviation, np.zeros_like(x), where=deviation > 0)
  score = deviation**2 / max(deviation.max() ** 2, np.finfo(float).tiny)
  nearest = np.zeros(x.shape[1])
  chosen: list[int] = []
  for _ in range(count):
    worth = score - strength * nearest
    worth[chosen] = -np.inf
    chosen.append(int(worth.argmax()))
    correlation = np.abs(unit.T @ unit[:, chosen[-1]]) / len(x)
    nearest = np.maximum(nearest, correlation)
  return np.sort(chosen)
