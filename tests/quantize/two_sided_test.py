import itertools

import numpy as np

from jcompress.prune.inverse_factor import factor_inverse
from jcompress.quantize.step_feedback import step_feedback
from jcompress.quantize.two_sided import round_both_ways

RNG = np.random.default_rng(0)
W = RNG.standard_normal((7, 9)).astype('float32')


def moments(n, rng=RNG):
  x = rng.standard_normal((40, n)) @ rng.standard_normal((n, n))
  return x.T @ x / 40


H, G = moments(7), moments(9)


def cost(change, h=H, g=G):
  return np.vdot(change, h @ change @ g)


def factored(matrix, damping=0.0):
  return factor_inverse(matrix, len(matrix), damping, sort=True)


def test_with_outputs_of_one_worth_it_is_the_feedback_of_the_inputs():
  both = round_both_ways(W / 0.4, factored(H), factored(np.eye(9))) * 0.4
  one = step_feedback(W, H, 0.4, damping=0.0).decode()
  np.testing.assert_allclose(both, one, atol=1e-5)


def test_it_does_not_matter_which_side_is_which():
  there = round_both_ways(W, factored(H), factored(G))
  back = round_both_ways(W.T, factored(G), factored(H))
  np.testing.assert_array_equal(there, back.T)


def test_what_the_network_computes_changes_less_than_with_one_side():
  """Over 20 kernels; each alone is up to the luck of its numbers."""
  costs = np.zeros(3)
  for seed in range(20):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((7, 9))
    h, g = moments(7, rng), moments(9, rng)
    both = round_both_ways(w, factored(h), factored(g))
    one = round_both_ways(w, factored(h), factored(np.eye(9)))
    costs += [cost(x - w, h, g) for x in (both, one, np.rint(w))]
  assert costs[0] < 0.6 * costs[1] < 0.5 * costs[2]


def test_two_by_two_is_as_good_as_the_best_of_all():
  h = np.array([[1.0, 0.9], [0.9, 1.0]])
  w = np.array([[0.45, 0.0], [0.45, 0.0]])
  found = round_both_ways(w, factored(h), factored(h))
  tried = [
    np.array([[a, 0], [b, 0]]) for a, b in itertools.product((0, 1), repeat=2)
  ]
  least = min(cost(x - w, h, h) for x in tried)
  np.testing.assert_allclose(cost(found - w, h, h), least)
  assert (found[:, 1] == 0).all()


def test_feedback_takes_the_outputs_of_a_kernel():
  leaf = step_feedback(W, H, 0.5, outputs=G)
  shown = np.asarray(leaf.decode())
  np.testing.assert_array_equal(shown, np.rint(shown / 0.5) * 0.5)
  damped = [factored(m, 0.05) for m in (H, G)]
  np.testing.assert_allclose(shown, round_both_ways(W / 0.5, *damped) * 0.5)
