import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.planning.choices import Choice, quantized
from jcompress.quantize.as_matrix import as_matrix

HEADS = jax.random.normal(jax.random.key(0), (6, 4, 5))
X = np.random.default_rng(0).normal(size=(50, 6)).astype('float32')
MOMENTS = jc.Moments(X.T @ X / 50)


@pytest.mark.parametrize(
  'choice',
  [
    Choice('feedback', {'step': 0.3}),
    Choice('gptq', {'bits': 3}),
    Choice('gptq', {'bits': 3, 'group': 3, 'symmetric': False}),
  ],
)
def test_outputs_of_several_axes_are_those_of_a_matrix(choice):
  leaf = quantized(choice, HEADS, MOMENTS)
  flat = quantized(choice, HEADS.reshape(6, 20), MOMENTS)
  assert leaf.decode().shape == HEADS.shape
  np.testing.assert_array_equal(
    leaf.decode().reshape(6, 20), np.asarray(flat.decode())
  )
  read = jc.unpack(jc.pack({'w': leaf}))[0]['w']
  np.testing.assert_array_equal(read.decode(), leaf.decode())


def test_inputs_of_several_axes_stay_together():
  w = HEADS.transpose(1, 2, 0)
  moments = jc.Moments(np.eye(20))
  leaf = quantized(Choice('gptq', {'bits': 4}), w, moments)
  assert leaf.scale.size == 6
  np.testing.assert_allclose(leaf.decode(), w, atol=0.3)


def test_what_does_not_fit_is_refused_by_the_method():
  with pytest.raises(ValueError, match=r'Hessian is \[7, 7\]'):
    quantized(Choice('gptq', {'bits': 4}), HEADS, jc.Moments(np.eye(7)))


def test_a_matrix_is_handed_on_as_it_is():
  seen = []

  def quantize(w):
    seen.append(w.shape)
    return jc.encoded.Quantized(jnp.rint(w).astype(jnp.int8), jnp.ones(()))

  as_matrix(quantize, HEADS.reshape(6, 20), 6)
  as_matrix(quantize, HEADS, 6)
  assert seen == [(6, 20), (6, 20)]
