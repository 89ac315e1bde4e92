import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jcompress as jc
from jcompress.models import LeNet300100


@pytest.mark.parametrize(
  ('rate', 'kept', 'want'), [(0.5, 0.08, 0.141421), (0.5, 1, 0.5), (0.2, 0, 0)]
)
def test_the_rate_falls_with_the_root_of_what_is_kept(rate, kept, want):
  np.testing.assert_allclose(jc.dropout_rate(rate, kept), want, atol=1e-6)


@pytest.mark.parametrize(
  ('rate', 'kept', 'message'),
  [(1.0, 0.5, 'rate is 1.0'), (-0.1, 0.5, 'rate is'), (0.5, 8, 'kept is 8')],
)
def test_rates_out_of_range_are_refused(rate, kept, message):
  with pytest.raises(ValueError, match=message):
    jc.dropout_rate(rate, kept)


def test_a_pruned_network_is_trained_again_with_less_dropout():
  kept = 0.25
  rate = jc.dropout_rate(0.5, kept)
  model = LeNet300100(features=(8, 6), dropout=(rate, rate))
  x = jax.random.normal(jax.random.key(0), (16, 12))
  params = model.init(jax.random.key(1), x)['params']
  comp = jc.select(jc.KERNELS, jc.magnitude_prune(1 - kept))

  def loss_fn(params, batch, key):
    logits = model.apply(
      {'params': params}, batch, train=True, rngs={'dropout': key}
    )
    return (logits**2).mean()

  tx = optax.sgd(0.01)
  step = jc.train_step(loss_fn, comp, tx)
  ts = jc.init_train_state(comp, tx, params, key=jax.random.key(2))
  losses = []
  for _ in range(3):
    ts, metrics = step(ts, x)
    losses.append(float(metrics['loss']))
  assert len(set(losses)) == 3
  view = comp.view(ts.latent, ts.state)
  assert (view['fc1']['kernel'] != 0).sum() == kept * 96
  assert jnp.isfinite(view['fc3']['kernel']).all()
