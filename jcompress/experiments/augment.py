"""Images as training may also see them: pure functions, run inside the step."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Augment = Callable[[jax.Array, jax.Array], jax.Array]


def shifted(reach: int) -> Augment:
  """Moves each image by up to `reach` pixels, zeros coming in at the edges.

  Args:
    reach: non-negative.
  """

  def augment(key, images):
    edges = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    padded = jnp.pad(images, edges)
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * reach + 1)
    cut = lambda image, corner: jax.lax.dynamic_slice(
      image, (*corner, 0), images.shape[1:]
    )
    return jax.vmap(cut)(padded, corners)

  return augment


def flipped() -> Augment:
  """Mirrors every second image, left and right."""

  def augment(key, images):
    mirror = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(mirror, images[:, :, ::-1], images)

  return augment


def in_turn(*steps: Augment) -> Augment:
  """One augmentation after the other, each with a key of its own."""

  def augment(key, images):
    for step, own in zip(steps, jax.random.split(key, len(steps)), strict=True):
      images = step(own, images)
    return images

  return augment
