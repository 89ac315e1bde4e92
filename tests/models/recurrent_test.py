import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.experiments import text
from jcompress.models.recurrent import CharacterLSTM

TOKENS = jnp.array([[0, 2, 1, 2], [1, 1, 0, 2]])


def random_params(model, scale=0.5):
  shapes = jax.eval_shape(model.init, jax.random.key(0), TOKENS)['params']
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda x: jnp.asarray(scale * rng.normal(size=x.shape), x.dtype), shapes
  )


def test_states_are_those_of_another_lstm():
  model = CharacterLSTM(3, 5)
  params = random_params(model)
  wide = {
    'i': params['input']['kernel'],
    'h': params['cell']['recurrent']['kernel'],
  }
  cell = {
    f'{side}{gate}': {'kernel': wide[side][:, 5 * k : 5 * k + 5]}
    for side in 'ih'
    for k, gate in enumerate('ifgo')
  }
  for k, gate in enumerate('ifgo'):
    cell[f'h{gate}']['bias'] = params['input']['bias'][5 * k : 5 * k + 5]

  @jax.jit
  def both(params, cell):
    other = nn.RNN(nn.LSTMCell(5), return_carry=True)
    x = jax.nn.one_hot(TOKENS, 3)
    return (
      model.apply({'params': params}, TOKENS),
      other.apply({'params': {'cell': cell}}, x),
    )

  (logits, (c, h)), ((want_c, want_h), hidden) = both(params, cell)
  np.testing.assert_allclose(c, want_c, rtol=1e-5)
  np.testing.assert_allclose(h, want_h, rtol=1e-5)
  want = hidden @ params['output']['kernel'] + params['output']['bias']
  np.testing.assert_allclose(logits, want, rtol=1e-4, atol=1e-6)


def test_a_text_goes_on_from_the_last_state():
  model = CharacterLSTM(3, 5, activation='sign')
  params = {'params': random_params(model)}

  @jax.jit
  def halves(params):
    whole = model.apply(params, TOKENS)
    first, carry = model.apply(params, TOKENS[:, :2])
    return whole, first, model.apply(params, TOKENS[:, 2:], carry)

  (logits, carry), first, (second, last) = halves(params)
  np.testing.assert_allclose(jnp.hstack([first, second]), logits, rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, carry, last)


def test_the_pattern_leaves_out_what_stays_float():
  model = CharacterLSTM(3, 5)
  paths = jc.tree.paths(random_params(model))
  chosen = lambda m: [p for p in paths if re.fullmatch(m.binary_kernels, p)]
  assert chosen(model) == ['cell/recurrent/kernel', 'input/kernel']
  all_of_it = model.clone(float_layers=())
  assert chosen(all_of_it) == [p for p in paths if 'kernel' in p]
  for names in (('gates',), ('input', 'recurrent', 'output')):
    with pytest.raises(ValueError, match='float_layers is'):
      _ = model.clone(float_layers=names).binary_kernels


# Without a look at the characters before, 3.25 nats is the best.
@pytest.mark.parametrize(
  ('activation', 'below'),
  [('none', 2.9), pytest.param('sign', 3.6, marks=pytest.mark.slow)],
)
def test_a_loss_aware_binarized_lstm_learns_a_text(activation, below):
  topics = text.python_topics()
  model = CharacterLSTM(len(topics.alphabet), 64, activation=activation)
  params = jax.jit(model.init)(jax.random.key(0), TOKENS)['params']
  compressor = jc.select(model.binary_kernels, jc.loss_aware_binarize())
  tx = optax.chain(optax.clip(5.0), optax.adam(1e-2))

  def loss_fn(params, batch, variables):
    logits, carry = model.apply({'params': params}, batch['input'], variables)
    loss = optax.softmax_cross_entropy_with_integer_labels(
      logits, batch['target']
    )
    return loss.mean(), {}, jax.lax.stop_gradient(carry)

  step = jc.train_step(loss_fn, compressor, tx)
  start = jnp.zeros((16, 64)), jnp.zeros((16, 64))
  ts = jc.init_train_state(compressor, tx, params, variables=start)
  losses = []
  # Row i of a batch continues row i of the one before it.
  each = (len(topics.train) - 1) // 16
  cut = lambda i: topics.train[i : i + 16 * each].reshape(16, each)
  inputs, targets = cut(0), cut(1)
  for i in range(0, 240 * 20, 20):
    part = slice(i, i + 20)
    batch = {'input': inputs[:, part], 'target': targets[:, part]}
    ts, metrics = step(ts, batch)
    losses.append(float(metrics['loss']))
  assert np.mean(losses[-20:]) < below
  view = compressor.view(ts.latent, ts.state)
  recurrent = view['cell']['recurrent']['kernel']
  assert len(np.unique(np.abs(recurrent))) == 1
