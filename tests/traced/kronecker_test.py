import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc

RNG = np.random.default_rng(0)
PARAMS = {
  'words': {'embedding': RNG.normal(size=(5, 4)).astype('float32')},
  'fc': {
    'kernel': RNG.normal(size=(4, 3)).astype('float32'),
    'bias': np.ones(3, 'float32'),
  },
  'out': {'kernel': RNG.normal(size=(3, 2)).astype('float32')},
}
IDS = np.array([[0, 1, 1], [1, 3, 0], [0, 0, 1], [1, 1, 1]])


def apply(params, ids):
  x = jnp.asarray(params['words']['embedding'])[ids]
  x = x @ params['fc']['kernel'] + params['fc']['bias']
  return x @ params['out']['kernel']


FOUND = jc.kronecker(apply, PARAMS, [IDS] * 300)


def test_inputs_are_those_of_input_hessian():
  known = jc.curvature.input_hessian(apply, PARAMS, [IDS])
  for path, moments in known.items():
    np.testing.assert_allclose(FOUND[path].inputs, moments, rtol=1e-5)
  assert FOUND.keys() == {'words/embedding', *known}


def test_outputs_are_what_they_are_worth_to_a_linear_network():
  """Gradients of signed sums have the mean square of the weights behind."""
  last = PARAMS['out']['kernel']
  np.testing.assert_allclose(
    FOUND['out/kernel'].outputs[0], np.eye(2), atol=0.1
  )
  want = last @ last.T
  np.testing.assert_allclose(FOUND['fc/kernel'].outputs[0], want, atol=0.2)
  whole = PARAMS['fc']['kernel'] @ want @ PARAMS['fc']['kernel'].T
  table = FOUND['words/embedding'].outputs[0]
  np.testing.assert_allclose(table, whole, atol=0.1 * np.abs(whole).max())


def test_a_row_counts_by_the_root_of_a_tempered_frequency():
  seen = np.bincount(IDS.ravel(), minlength=5) / IDS.size
  want = np.sqrt((seen + 1 / 5) / 2)
  np.testing.assert_allclose(FOUND['words/embedding'].inputs, want, rtol=1e-6)


def test_what_two_layers_use_is_left_out():
  tied = lambda p, ids: apply(p, ids) + apply(p, ids + 1)[:, :, ::-1]
  with pytest.raises(ValueError, match='No layer uses one of .* alone; there'):
    jc.kronecker(tied, PARAMS, [IDS])
  shared = lambda p, ids: apply(p, ids) @ p['out']['kernel'].T
  found = jc.kronecker(shared, PARAMS, [IDS], pattern='.*kernel')
  assert found.keys() == {'fc/kernel'}
  turned = {**PARAMS, 'out': {'kernel': PARAMS['out']['kernel'].T}}
  other = lambda p, ids: apply(
    {**p, 'out': {'kernel': p['out']['kernel'].T}}, ids
  )
  found = jc.kronecker(other, turned, [IDS])
  assert found.keys() == {'fc/kernel', 'words/embedding'}
  with pytest.raises(ValueError, match='no batches'):
    jc.kronecker(apply, PARAMS, [])


def test_groups_of_a_convolution_have_matrices_of_their_own():
  kernel = jax.random.normal(jax.random.key(0), (2, 1, 1, 4))
  conv = lambda p, x: jax.lax.conv_general_dilated(
    x,
    p['kernel'],
    (1, 1),
    'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    feature_group_count=2,
  )
  x = jax.random.normal(jax.random.key(1), (3, 4, 2, 2))
  found = jc.kronecker(conv, {'kernel': kernel}, [x])['kernel']
  assert found.inputs.shape == found.outputs.shape == (2, 2, 2)


def test_outputs_of_several_axes_are_those_of_a_matrix():
  x = jax.random.normal(jax.random.key(0), (9, 6))
  heads = jax.random.normal(jax.random.key(1), (6, 2, 3))
  by_heads = lambda p, x: jnp.einsum('ni,iho->nho', x, p['w'])
  flat = lambda p, x: (x @ p['w']).reshape(-1, 2, 3)
  found = jc.kronecker(by_heads, {'w': heads}, [x])['w']
  wanted = jc.kronecker(flat, {'w': heads.reshape(6, 6)}, [x])['w']
  np.testing.assert_allclose(found.inputs, wanted.inputs, rtol=1e-5)
  np.testing.assert_allclose(found.outputs, wanted.outputs, rtol=1e-5)
