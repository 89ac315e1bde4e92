import jax.numpy as jnp
import numpy as np
import pytest

from jcompress.quantize.step_codebook import step_codebook
from jcompress.quantize.step_feedback import step_feedback

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 12)) @ RNG.standard_normal((12, 12))
W = RNG.standard_normal((12, 30)).astype('float32')
H = X.T @ X


def test_the_second_input_makes_up_for_the_first():
  """Two inputs that are alike: what one loses by rounding, the other gains."""
  alike = np.array([[1.0, 0.99], [0.99, 1.0]])
  w = np.array([[0.4], [0.4]], np.float32)
  leaf = step_feedback(w, alike, 1.0, damping=0.0)
  np.testing.assert_array_equal(leaf.decode(), [[0.0], [1.0]])


def test_outputs_change_less_than_by_rounding_to_nearest():
  change = lambda leaf: np.linalg.norm(X @ (np.asarray(leaf.decode()) - W))
  for step in (0.1, 0.5):
    nearest = step_codebook(W, step, strength=0)
    assert change(step_feedback(W, H, step)) < 0.8 * change(nearest)


def test_values_are_multiples_of_the_step_and_zeros_stay():
  w = np.where(RNG.random(W.shape) < 0.3, 0, W)
  shown = np.asarray(step_feedback(w, H, 0.25).decode())
  np.testing.assert_array_equal(shown, np.rint(shown / 0.25) * 0.25)
  assert (shown[w == 0] == 0).all()


def test_kernels_of_convolutions_and_half_precision():
  w = jnp.asarray(W.reshape(2, 3, 2, 30), jnp.bfloat16)
  leaf = step_feedback(w, H, 0.5)
  assert leaf.decode().shape == w.shape and leaf.decode().dtype == jnp.bfloat16


@pytest.mark.parametrize(
  ('w', 'step', 'message'),
  [
    (W[:5], 0.5, r'a layer of 5 inputs needs \[5, 5\]'),
    (W, 0.0, 'step is 0.0; it must be positive'),
    (W * np.nan, 0.5, 'NaN or inf'),
  ],
)
def test_what_does_not_fit_is_refused(w, step, message):
  with pytest.raises(ValueError, match=message):
    step_feedback(w, H, step)
