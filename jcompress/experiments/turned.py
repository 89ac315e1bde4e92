"""Images turned by angles that training has not seen."""

import numpy as np
from jaxtyping import Float, Shaped

KINDS = 'quarters', 'angles'
_AT_ONCE = 1000  # images


def turned(
  images: Shaped[np.ndarray, '...'], kind: str, seed: int = 0
) -> Shaped[np.ndarray, '...']:
  """Turns each image by an angle of its own, the same ones for a seed.

  Args:
    images: square, `[n, size, size, c]`.
    kind: `'quarters'`, by 0, 90, 180 or 270 degrees, exactly; `'angles'`, by
      any angle, see `rotate`.
    seed: of the angles.

  Raises:
    ValueError: another kind; images that are not square.
  """
  if kind not in KINDS:
    raise ValueError(f'kind is {kind!r}; it must be one of {KINDS}.')
  if images.ndim != 4 or images.shape[1] != images.shape[2]:
    raise ValueError(
      f'Inputs of shape {list(images.shape)} cannot be turned; they must be '
      'square images [n, size, size, channels].'
    )
  rng = np.random.default_rng(seed)
  if kind == 'angles':
    return rotate(images, rng.uniform(0, 360, len(images)))
  quarters = rng.integers(0, 4, len(images))
  found = images.copy()
  for k in range(1, 4):
    found[quarters == k] = np.rot90(images[quarters == k], k, (1, 2))
  return found


def rotate(
  images: Shaped[np.ndarray, 'n h w c'], degrees: Float[np.ndarray, ' n']
) -> Shaped[np.ndarray, 'n h w c']:
  """Turns images around their middle, counter-clockwise as `np.rot90`.

  Bilinear between pixels; what comes from outside of the image is 0.

  >>> image = np.arange(4.0).reshape(1, 2, 2, 1)
  >>> rotate(image, np.array([90.0]))[0, ..., 0].round().tolist()
  [[1.0, 3.0], [0.0, 2.0]]

  Args:
    images: floats, or integers, to which the result is rounded.
    degrees: of each image.
  """
  starts = range(0, len(images), _AT_ONCE)
  parts = [slice(i, i + _AT_ONCE) for i in starts]
  done = [_rotate(images[part], degrees[part]) for part in parts]
  return np.concatenate(done) if done else images.copy()


def _rotate(images, degrees):
  n, h, w, _ = images.shape
  angle = np.deg2rad(degrees)[:, None, None]
  y = np.arange(h)[:, None] - (h - 1) / 2
  x = np.arange(w)[None] - (w - 1) / 2
  rows = y * np.cos(angle) + x * np.sin(angle) + (h - 1) / 2
  columns = x * np.cos(angle) - y * np.sin(angle) + (w - 1) / 2
  # A pixel of zeros around, and none of the four neighbors is beyond it.
  padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
  rows, columns = np.clip(rows, -1, h) + 1, np.clip(columns, -1, w) + 1
  top = np.minimum(np.floor(rows).astype(int), h)
  left = np.minimum(np.floor(columns).astype(int), w)
  down, right = (rows - top)[..., None], (columns - left)[..., None]
  which = np.arange(n)[:, None, None]
  pixel = lambda i, j: padded[which, top + i, left + j].astype(np.float64)
  upper = pixel(0, 0) * (1 - right) + pixel(0, 1) * right
  lower = pixel(1, 0) * (1 - right) + pixel(1, 1) * right
  found = upper * (1 - down) + lower * down
  if np.issubdtype(images.dtype, np.integer):
    found = np.rint(found)
  return found.astype(images.dtype)
