import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.prune import obd
from jcompress.prune.obd import (
  exact_diag,
  obd_prune,
  obd_saliency,
)
from jcompress.traced import curvature

LAYERS = ('fc1', 'fc2')
back_propagated_diag = jax.jit(
  obd.back_propagated_diag,
  static_argnames=(
    'layers',
    'activation',
    'output',
    'loss',
    'levenberg_marquardt',
  ),
)
# Of the outputs times the inputs, as in the paper.
NET = {
  'fc1': {
    'kernel': jnp.array([[0.5, -0.3], [0.8, 0.2]]).T,
    'bias': jnp.array([0.1, -0.2]),
  },
  'fc2': {'kernel': jnp.array([[1.2], [-0.7]]), 'bias': jnp.array([0.05])},
}
DEEP = {
  'a': {'kernel': jnp.array([[0.5, -0.3], [0.8, 0.2]]).T},
  'b': {'kernel': jnp.array([[0.6, -0.4], [0.3, 0.9]]).T},
  'c': {'kernel': jnp.array([[1.2], [-0.7]])},
}
X, D = jnp.array([[1.0, -0.5]]), jnp.array([[0.3]])


def forward(params, x, layers, activation=jnp.tanh, output=jnp.tanh):
  for name in layers:
    a = x @ params[name]['kernel'] + params[name].get('bias', 0)
    x = (output if name == layers[-1] else activation)(a)
  return x


def squared(params, batch, **net):
  x, d = batch
  return jnp.mean(jnp.sum((d - forward(params, x, **net)) ** 2, -1))


@jax.jit
def at_minimum(params, x):
  """The targets of which the network is the minimum."""
  return forward(params, x, LAYERS)


def in_order(tree):
  """The weights as the paper's [out, in], then biases, layer by layer."""
  parts = [
    np.asarray(layer[kind]).T.ravel()
    for layer in tree.values()
    for kind in ('kernel', 'bias')
    if kind in layer
  ]
  return np.concatenate(parts)


def random_net(seed, sizes):
  rng = np.random.default_rng(seed)
  normal = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)
  return {
    f'fc{i + 1}': {
      'kernel': normal(*sizes[i : i + 2]) / np.sqrt(sizes[i]),
      'bias': 0.1 * normal(sizes[i + 1]),
    }
    for i in range(len(sizes) - 1)
  }


def data(seed, inputs, outputs, examples=7):
  rng = np.random.default_rng(seed)
  normal = lambda n: rng.standard_normal((examples, n)).astype(np.float32)
  return normal(inputs), normal(outputs)


def test_one_hidden_layer_to_the_digit():
  diag = back_propagated_diag(
    NET, X, D, layers=LAYERS, output=jnp.tanh, levenberg_marquardt=False
  )
  want = [0.312762, 0.078191, 0.439724, 0.109931, 0.312762, 0.439724]
  want += [0.420444, 0.222567, 1.042214]
  np.testing.assert_allclose(in_order(diag), want, atol=1.5e-6)
  exact = exact_diag(functools.partial(squared, layers=LAYERS), NET, (X, D))
  np.testing.assert_allclose(in_order(exact), want, atol=1.5e-6)
  saliency = [0.039095, 0.003519, 0.140712, 0.002199, 0.001564, 0.008794]
  saliency += [0.302720, 0.054529, 0.001303]
  np.testing.assert_allclose(
    in_order(obd_saliency(NET, diag)), saliency, atol=1e-6
  )


def test_levenberg_marquardt_is_gauss_newton_for_one_hidden_layer():
  diag = back_propagated_diag(NET, X, D, layers=LAYERS, output=jnp.tanh)
  want = [0.647239, 0.161810, 0.382730, 0.095682, 0.647239, 0.382730]
  want += [0.509457, 0.269687, 1.262863]
  np.testing.assert_allclose(in_order(diag), want, atol=1.5e-6)
  apply = functools.partial(forward, layers=LAYERS)
  half = curvature.gauss_newton_diag(apply, NET, [X], loss='squared')
  np.testing.assert_allclose(2 * in_order(half), want, atol=1.5e-6)


@pytest.mark.parametrize('outputs', [1, 3])
def test_one_hidden_layer_is_exact_for_many_examples(outputs):
  _, unflat = jax.flatten_util.ravel_pytree(random_net(0, (3, 4, outputs)))

  @jax.jit
  def both(flat, batch):
    diag = back_propagated_diag(
      unflat(flat),
      *batch,
      layers=LAYERS,
      output=jnp.tanh,
      levenberg_marquardt=False,
    )
    loss = lambda v: squared(unflat(v), batch, layers=LAYERS)
    exact = jnp.diag(jax.hessian(loss)(flat))
    return jax.flatten_util.ravel_pytree(diag)[0], exact

  for seed in range(10):
    net = random_net(seed, (3, 4, outputs))
    flat = jax.flatten_util.ravel_pytree(net)[0]
    diag, exact = both(flat, data(seed, 3, outputs))
    np.testing.assert_allclose(diag, exact, rtol=1e-3, atol=1e-4)


def test_two_hidden_layers_are_not_exact():
  loss = functools.partial(squared, layers=tuple('abc'))
  exact = in_order(exact_diag(loss, DEEP, (X, D)))
  np.testing.assert_allclose(
    exact,
    [0.661669, 0.165417, -0.595591, -0.148898]
    + [0.548623, 0.613177, -0.128564, -0.143692, 0.010229, 0.378775],
    atol=2e-6,
  )
  recursion = lambda lm: in_order(
    back_propagated_diag(
      DEEP, X, D, layers=tuple('abc'), output=jnp.tanh, levenberg_marquardt=lm
    )
  )
  np.testing.assert_allclose(
    recursion(False)[:4], [0.746546, 0.186636, -0.746506, -0.186626], atol=2e-6
  )
  np.testing.assert_allclose(recursion(False)[4:], exact[4:], atol=2e-6)
  assert (recursion(True) > 0).all()


def test_softmax_is_exact_in_one_layer_and_not_in_two():
  x, classes = data(0, 5, 1)[0], jnp.array([0, 1, 2, 2, 1, 0, 0])

  def loss(params, batch):
    out = forward(params, batch[0], sorted(params), output=lambda a: a)
    return -jnp.mean(jax.nn.log_softmax(out)[jnp.arange(7), batch[1]])

  for sizes, agree in (((5, 3), True), ((5, 4, 3), False)):
    net = random_net(3, sizes)
    diag = back_propagated_diag(
      net, x, classes, layers=tuple(sorted(net)), loss='cross_entropy'
    )
    exact = exact_diag(loss, net, (x, classes))
    apply = functools.partial(forward, layers=sorted(net), output=lambda a: a)
    newton = curvature.gauss_newton_diag(apply, net, [x])
    near = lambda a, b: all(
      np.allclose(p, q, rtol=1e-4, atol=1e-6)
      for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    assert near(diag, exact) == near(diag, newton) == agree
    top = sorted(net)[-1]
    assert near(diag[top], exact[top])


def test_diagonals_rank_weights_alike():
  net, batch = random_net(0, (6, 8, 2)), data(0, 6, 2, examples=200)
  batch = batch[0], at_minimum(net, batch[0])
  loss = jax.jit(functools.partial(squared, layers=LAYERS))
  ranks = lambda diag: np.argsort(np.argsort(in_order(obd_saliency(net, diag))))
  want = ranks(exact_diag(loss, net, batch))
  apply = functools.partial(forward, layers=LAYERS)
  for diag in (
    back_propagated_diag(net, *batch, layers=LAYERS, output=jnp.tanh),
    curvature.gauss_newton_diag(apply, net, [batch[0]], loss='squared'),
    curvature.hessian_diag(loss, net, [batch], samples=200),
  ):
    assert np.corrcoef(ranks(diag), want)[0, 1] > 0.97
  by_size = np.argsort(np.argsort(np.abs(in_order(net))))
  assert np.corrcoef(by_size, want)[0, 1] < 0.95


def test_saliencies_predict_the_first_removals():
  net, batch = random_net(1, (8, 10, 3)), data(1, 8, 3, examples=300)
  batch = batch[0], at_minimum(net, batch[0])
  loss = jax.jit(functools.partial(squared, layers=LAYERS))
  diag = exact_diag(loss, net, batch)
  saliency = obd_saliency(net, diag)

  def ratio(sparsity):
    pruned, mask = obd_prune(net, diag, sparsity=sparsity)
    lost = jax.tree.map(lambda s, m: jnp.sum(s * ~m), saliency, mask)
    return float(loss(pruned, batch) / sum(jax.tree.leaves(lost)))

  assert ratio(1 / 123) == pytest.approx(1, abs=0.15)
  assert ratio(0.1) == pytest.approx(1, abs=0.4)
  assert abs(ratio(0.8) - 1) > 0.2


def test_obd_beats_magnitude_and_random():
  x, _ = data(2, 8, 3, examples=300)
  x = x * np.array([3, 3, 3, 3, 0.1, 0.1, 0.1, 0.1], np.float32)
  net = random_net(2, (8, 10, 3))
  batch = x, at_minimum(net, x)
  loss = jax.jit(functools.partial(squared, layers=LAYERS))
  diag = back_propagated_diag(net, *batch, layers=LAYERS, output=jnp.tanh)
  error = lambda h: float(loss(obd_prune(net, h, sparsity=0.4)[0], batch))
  same = jax.tree.map(jnp.ones_like, net)
  rng = np.random.default_rng(0)
  noise = jax.tree.map(lambda w: rng.random(w.shape) / w**2, net)
  assert error(diag) < 0.5 * error(same) < 0.5 * error(noise)


def test_obd_removes_what_the_diagonal_says():
  w, h = jnp.array([-1.25, -1.25, -1, 1.5]), jnp.array([3.0, 8, 13, 9])
  pruned, mask = obd_prune(w, h, sparsity=0.25)
  np.testing.assert_array_equal(mask, [False, True, True, True])
  np.testing.assert_array_equal(pruned, [0, -1.25, -1, 1.5])


def test_masks_are_exact_and_keep_zeros():
  kernel = jnp.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.5]])
  params = {'a': {'kernel': kernel, 'bias': None}}
  flat = jax.tree.map(jnp.zeros_like, params)
  for sparsity, zeros in ((0, 2), (1 / 6, 2), (0.5, 3), (1, 6)):
    pruned, mask = obd_prune(params, flat, sparsity=sparsity)
    assert (~mask['a']['kernel']).sum() == zeros
    assert not mask['a']['kernel'][[0, 1], [0, 1]].any()
  full = {'a': {'kernel': kernel, 'bias': jnp.ones(3)}}
  comp = jc.select(jc.KERNELS, jc.with_mask(mask))
  np.testing.assert_array_equal(
    comp.view(*comp.init(full))['a']['kernel'], pruned['a']['kernel']
  )


def test_negative_curvature_counts_as_none():
  s = obd_saliency(jnp.array([1.0, 1.0]), jnp.array([-3.0, 2.0]))
  np.testing.assert_array_equal(s, [0, 1])


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_half_precision_saliencies_are_float32(dtype):
  w, h = jnp.full(3, 300.0, dtype), jnp.full(3, 2.0)
  assert obd_saliency(w, h).dtype == jnp.float32
  np.testing.assert_array_equal(obd_saliency(w, h), 90000)
  assert obd_prune(w, h, sparsity=0.5)[0].dtype == dtype


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'layers': ('fc1',)}, r"\['fc1'\].*keys"),
    ({'layers': ('fc2', 'fc1')}, r'kernel of fc1 is \[2, 2\]'),
    ({'layers': LAYERS, 'loss': 'hinge'}, "'hinge'"),
  ],
)
def test_bad_networks_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    back_propagated_diag(NET, X, D, **arguments)


def test_bad_masks_are_refused():
  with pytest.raises(ValueError, match='sparsity is 2'):
    obd_prune(X, X, sparsity=2)
  for diagonal in ({'b': X}, {'a': X[0]}):
    with pytest.raises(ValueError, match=r"\{'a': \(1, 2\)\}; they must be"):
      obd_saliency({'a': X}, diagonal)
