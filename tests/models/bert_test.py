import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcompress import tree
from jcompress.models.bert import Attention, Bert, sentence_embedding

SMALL = Bert(
  vocabulary=11, layers=2, heads=2, width=6, hidden=8, positions=5, segments=2
)
TOKENS = jnp.array([[1, 2, 3, 4], [5, 6, 0, 0]])
MASK = jnp.array([[True] * 4, [True, True, False, False]])


def init(model, *inputs, seed=0):
  """Params with nothing at zero or one, so that no term can be missed."""
  params = jax.eval_shape(model.init, jax.random.key(seed), *inputs)['params']
  leaves, structure = jax.tree.flatten(params)
  keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
  draws = [
    jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)
  ]
  return structure.unflatten(draws)


@functools.partial(jax.jit, static_argnums=0)
def run(model, params, *inputs):
  return model.apply({'params': params}, *inputs)


def reference(params, tokens, segments, heads):
  """The states of one row by the equations, in float64, head by head."""
  p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

  def norm(x, at):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * at['scale'] + at['bias']

  linear = lambda x, at: x @ at['kernel'] + at['bias']
  gelu = np.vectorize(lambda u: u * (1 + math.erf(u / math.sqrt(2))) / 2)
  x = p['words']['embedding'][tokens] + p['segments']['embedding'][segments]
  x = norm(x + p['positions']['embedding'][: len(tokens)], p['norm'])
  size = x.shape[-1] // heads
  for i in range(sum(name.startswith('layer_') for name in p)):
    at = p[f'layer_{i}']
    qkv = [linear(x, at['attention'][n]) for n in ('query', 'key', 'value')]
    parts = []
    for h in range(heads):
      q, k, v = (y[:, h * size : (h + 1) * size] for y in qkv)
      share = np.exp(q @ k.T / math.sqrt(size))
      parts.append(share / share.sum(-1, keepdims=True) @ v)
    mixed = linear(np.concatenate(parts, -1), at['attention']['out'])
    x = norm(x + mixed, at['attention_norm'])
    x = norm(x + linear(gelu(linear(x, at['up'])), at['down']), at['norm'])
  return x


def test_states_follow_the_equations():
  segments = jnp.array([[0, 0, 1, 1], [0, 1, 1, 1]])
  params = init(SMALL, TOKENS)
  states = run(SMALL, params, TOKENS, None, segments)
  assert states.shape == (2, 4, 6) and states.dtype == jnp.float32
  for row in range(2):
    want = reference(params, TOKENS[row], segments[row], heads=2)
    np.testing.assert_allclose(states[row], want, rtol=2e-4, atol=2e-4)


def test_without_a_say_of_the_scores_each_token_gets_the_mean():
  x = jnp.array([[[1.0, 0.0], [3.0, 2.0], [8.0, 8.0]]])
  zero = {'kernel': jnp.zeros((2, 2)), 'bias': jnp.zeros(2)}
  same = {'kernel': jnp.eye(2), 'bias': jnp.zeros(2)}
  params = {'query': zero, 'key': same, 'value': same, 'out': same}
  mix = lambda mask: run(Attention(heads=1), params, x, mask)
  np.testing.assert_allclose(mix(None), [[[4, 10 / 3]] * 3], rtol=1e-6)
  two = mix(jnp.array([[True, True, False]]))
  np.testing.assert_allclose(two, [[[2, 1]] * 3], rtol=1e-6)


def test_padding_changes_no_embedding():
  params = init(SMALL, TOKENS)

  def embed(tokens, mask):
    states = run(SMALL, params, tokens, mask)
    return sentence_embedding(states, mask)

  alone = embed(TOKENS[1:, :2], MASK[1:, :2])
  for filling in (0, 7):
    padded = embed(jnp.where(MASK, TOKENS, filling), MASK)
    np.testing.assert_allclose(padded[1:], alone, rtol=1e-5, atol=1e-6)
  assert abs(embed(TOKENS, jnp.ones_like(MASK))[1] - alone[0]).max() > 1e-3


def test_embeddings_are_of_length_one_and_zero_without_tokens():
  states = jax.random.normal(jax.random.key(0), (2, 4, 6)).astype(jnp.bfloat16)
  embedding = sentence_embedding(states, MASK.at[1].set(False))
  assert embedding.dtype == jnp.float32
  np.testing.assert_allclose(jnp.linalg.norm(embedding[0]), 1, rtol=1e-6)
  np.testing.assert_array_equal(embedding[1], 0)


def test_the_pattern_matches_the_linear_maps_alone():
  names = tree.paths(init(SMALL, TOKENS))
  maps = [f'attention/{n}' for n in ('query', 'key', 'value', 'out')]
  assert {n for n in names if re.fullmatch(tree.KERNELS, n)} == {
    f'layer_{i}/{m}/kernel' for i in range(2) for m in (*maps, 'up', 'down')
  }


def test_the_size_of_bert_base():
  params = jax.eval_shape(Bert().init, jax.random.key(0), TOKENS)
  assert sum(x.size for x in jax.tree.leaves(params)) == 108_891_648


def test_computes_in_the_dtype_that_is_asked_for():
  params = init(SMALL, TOKENS)
  half = run(SMALL.clone(dtype=jnp.bfloat16), params, TOKENS, MASK)
  full = run(SMALL, params, TOKENS, MASK)
  assert half.dtype == jnp.bfloat16
  error = jnp.abs(half.astype(jnp.float32) - full)[MASK]
  assert error.mean() < 0.05 * jnp.abs(full[MASK]).mean()


def test_a_width_that_the_heads_do_not_divide_is_refused():
  with pytest.raises(ValueError, match='width 6 is no multiple of heads 4'):
    SMALL.clone(heads=4).init(jax.random.key(0), TOKENS)


def test_more_tokens_than_positions_are_refused():
  with pytest.raises(ValueError, match='6 tokens a row and only 5 positions'):
    SMALL.init(jax.random.key(0), jnp.zeros((1, 6), jnp.int32))
