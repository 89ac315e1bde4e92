"""Tests of networks as ONNX files, by a runtime that knows no JAX."""

import jax
import numpy as np
import pytest

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, onnx_files, sources, tasks


def network(compressor):
  digits = data.load('mnist_5k', examples=64)
  model = models.build('lenet_300_100')
  task = tasks.image_classification(model, digits, 32)
  params = task.init(jax.random.key(0))['params']
  return task, {
    'params': jc.compress(params, jc.select(jc.KERNELS, compressor))
  }


@pytest.mark.parametrize(
  'compressor',
  [
    jc.kmeans_share(bits=4),
    jc.linear_quantize(4, axis=None),
    jc.linear_quantize(8, axis=-1),
    jc.magnitude_prune(0.5),
  ],
  ids=['codebook', 'one_scale', 'scales', 'pruned'],
)
@pytest.mark.parametrize('rows', [None, 8])
def test_a_runtime_gives_the_same_from_small_files(compressor, rows):
  pytest.importorskip('jax2onnx')
  runtime = pytest.importorskip('onnxruntime')
  task, tree = network(compressor)
  model, inputs = onnx_files.onnx(task, tree, rows)
  batch = sources.first(task.test, 8)
  assert inputs == [f'image: uint8{[rows or "examples", 28, 28, 1]}']
  session = runtime.InferenceSession(model)
  [found] = session.run(None, {'image': np.asarray(batch['image'])})
  want = task.predict(jc.decode(tree), batch)
  np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
  dense = sum(x.nbytes for x in jax.tree.leaves(jc.decode(tree)))
  is_float = isinstance(tree['params']['fc1']['kernel'], jc.encoded.Sparse)
  assert len(model) < (1.1 if is_float else 0.3) * dense


def test_what_is_missing_is_said(monkeypatch):
  monkeypatch.setitem(__import__('sys').modules, 'jax2onnx', None)
  with pytest.raises(ImportError, match=r"pip install 'jcompress\[onnx\]'"):
    onnx_files.onnx(*network(jc.identity()), 1)
