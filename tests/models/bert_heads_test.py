import jax
import jax.numpy as jnp
import numpy as np

from jcompress import models

SIZES = dict(vocabulary=11, layers=1, heads=2, width=8, hidden=16, positions=6)
TOKENS = jnp.array([[1, 2, 3, 0], [4, 5, 6, 7]])
KEY = jax.random.key(0)


def test_classes_are_a_map_of_the_mean_state():
  model = models.BertClassifier(**SIZES, classes=3)
  variables = model.init(KEY, TOKENS)
  mask = TOKENS != 0
  got = model.apply(variables, TOKENS, mask)
  params = variables['params']
  states = models.Bert(**SIZES).apply(
    {'params': params['encoder']}, TOKENS, mask
  )
  mean = jnp.stack([states[0, :3].mean(0), states[1].mean(0)])
  want = mean @ params['fc']['kernel'] + params['fc']['bias']
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_words_are_scored_by_their_embeddings():
  model = models.BertMasked(**SIZES)
  variables = model.init(KEY, TOKENS)
  params = variables['params']
  assert params['bias'].shape == (11,)
  x = models.Bert(**SIZES).apply({'params': params['encoder']}, TOKENS)
  x = x @ params['transform']['kernel'] + params['transform']['bias']
  x = jax.nn.gelu(x, approximate=False)
  x = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
  want = x @ params['encoder']['words']['embedding'].T
  got = model.apply(variables, TOKENS)
  np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
