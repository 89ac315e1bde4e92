import jax
import numpy as np
import pytest

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, exporting, sources, tasks

pytest.importorskip('flatbuffers')


@pytest.fixture(scope='module')
def network():
  digits = data.load('mnist_5k', examples=64)
  model = models.build('lenet_300_100')
  task = tasks.image_classification(model, digits, 32)
  params = task.init(jax.random.key(0))['params']
  share = jc.select(jc.KERNELS, jc.kmeans_share(bits=4))
  return task, {'params': jc.compress(params, share)}


def test_the_file_runs_by_jax_alone_and_holds_the_packed_weights(network):
  task, tree = network
  exported, inputs = exporting.stablehlo(task, tree, 8)
  batch = sources.first(task.test, 8)
  image = batch['image']
  assert inputs == [f'image: {image.dtype}{list(image.shape)}']
  found = jax.export.deserialize(bytearray(exported)).call(image)
  want = task.predict(jc.decode(tree), batch)
  np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)
  dense = sum(x.nbytes for x in jax.tree.leaves(jc.decode(tree)))
  assert len(exported) < 0.3 * dense


def test_rows_are_at_least_one(network):
  with pytest.raises(ValueError, match='rows is 0; it must be at least 1'):
    exporting.stablehlo(*network, 0)
