import jax
import jax.numpy as jnp
import numpy as np

from jcompress.experiments import augment

IMAGES = jnp.arange(1.0, 1 + 40 * 4 * 3).reshape(40, 4, 3, 1)
KEY = jax.random.key(0)


def test_shifts_move_each_image_as_a_whole():
  moved = augment.shifted(1)(KEY, IMAGES)
  padded = np.pad(IMAGES, ((0, 0), (1, 1), (1, 1), (0, 0)))
  seen = set()
  for before, after in zip(padded, moved, strict=True):
    places = [
      (i, j)
      for i in range(3)
      for j in range(3)
      if (before[i : i + 4, j : j + 3] == after).all()
    ]
    assert len(places) == 1
    seen.add(places[0])
  assert len(seen) == 9


def test_about_half_of_the_images_are_mirrored():
  got = augment.flipped()(KEY, IMAGES)
  same = (got == IMAGES).all((1, 2, 3))
  mirrored = (got == IMAGES[:, :, ::-1]).all((1, 2, 3))
  assert (same ^ mirrored).all() and 10 < mirrored.sum() < 30


def test_steps_in_turn_have_keys_of_their_own():
  draw = lambda key, x: x + jax.random.uniform(key)
  got = augment.in_turn(draw, draw)(KEY, jnp.zeros(2))
  first, second = (jax.random.uniform(k) for k in jax.random.split(KEY, 2))
  np.testing.assert_allclose(got, [first + second] * 2)
