"""Tests of moving weights to cheaper codes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress import encoded

RNG = np.random.default_rng(0)


def grid(shape=(60, 50)):
  codes = np.round(RNG.laplace(0, 2, shape)).clip(-15, 15).astype(np.int8)
  return encoded.Quantized(jnp.asarray(codes), jnp.float32(0.1))


def book(shape=(60, 50)):
  """Centers in no order, 0 among them."""
  centers = jnp.asarray([0.3, -0.2, 0.0, 0.1, -0.4], jnp.float32)
  codes = RNG.choice(5, shape, p=[0.1, 0.2, 0.4, 0.2, 0.1]).astype(np.uint8)
  return encoded.Codebook(centers, jnp.asarray(codes))


def size(leaf):
  return len(jc.pack({'w': leaf}))


@pytest.mark.parametrize('make', [grid, book], ids=['grid', 'codebook'])
def test_bytes_fall_with_the_strength_and_zeros_stay(make):
  leaf = make()
  before = np.asarray(leaf.decode())
  sizes = []
  for strength in (0.0, 3e-3, 1e-2, 3e-2, 1e3):
    moved = jc.rate_distortion({'w': leaf}, strength)['w']
    after = np.asarray(moved.decode())
    sizes.append(size(moved))
    assert (after[before == 0] == 0).all()
    assert set(np.unique(after)) <= set(np.unique(before))
    if strength == 0:
      np.testing.assert_array_equal(after, before)
  assert (after == 0).all()
  assert sizes == sorted(sizes, reverse=True) and sizes[3] < 0.7 * sizes[0]


def test_important_weights_move_last():
  leaf = grid()
  importance = np.ones((60, 50))
  importance[:, ::2] = 100
  moved = jc.rate_distortion(leaf, 2e-2, importance=importance)
  changed = np.asarray(moved.decode() != leaf.decode())
  assert changed[:, 1::2].mean() > 0.3 and not changed[:, ::2].any()


def test_the_largest_that_fits_a_size():
  tree = {'a': grid(), 'b': {'c': book()}, 'd': jnp.ones(5)}
  most = int(0.8 * len(jc.pack(tree)))
  near = lambda x: x.decode() + RNG.uniform(-0.05, 0.05, x.codes.shape)
  params = {'a': near(tree['a']), 'b': {'c': near(tree['b']['c'])}, 'd': 0}
  small = jc.rate_distortion(tree, size=most, params=params)
  assert 0.97 * most < len(jc.pack(small)) <= most
  assert small['d'] is tree['d']
  large = len(jc.pack(tree))
  assert jc.rate_distortion(tree, size=large) is tree
  with pytest.raises(ValueError, match='size is 100 bytes.*larger size'):
    jc.rate_distortion(tree, size=100)


def test_weights_of_before_say_where_to_go():
  w = jnp.asarray(RNG.uniform(-0.5, 0.5, (40, 30)), jnp.float32)
  off = RNG.integers(-1, 2, w.shape)
  codes = jnp.asarray(jnp.clip(jnp.round(w / 0.1) + off, -5, 5), jnp.int8)
  leaf = encoded.Quantized(codes, jnp.float32(0.1))
  moved = jc.rate_distortion(leaf, 0.0, params=w, keep_zeros=False)
  np.testing.assert_allclose(moved.decode(), w, atol=0.0501)
  kept = jc.rate_distortion(leaf, 0.0, params=w)
  assert ((leaf.codes != 0) | (kept.codes == 0)).all()


def test_leaves_of_other_kinds_are_given_back():
  signs = encoded.Signs(jnp.eye(4) > 0, jnp.float32(1))
  vectors = encoded.Codebook(jnp.ones((2, 2)), jnp.zeros((3, 3), jnp.uint8))
  tree = [signs, vectors, encoded.Dense(jnp.ones(3)), jnp.ones(2)]
  for a, b in zip(jc.rate_distortion(tree, 1.0), tree, strict=True):
    assert a is b


def test_layers_of_a_stacked_array_move_by_themselves():
  parts = grid((30, 20)), grid((30, 20)), grid((30, 20))
  stacked = encoded.Stacked(parts, (1,), (3,))
  importance = RNG.random((30, 3, 20))
  near = stacked.decode() + RNG.uniform(-0.05, 0.05, (30, 3, 20))
  moved = jc.rate_distortion(stacked, 5e-3, params=near, importance=importance)
  for i, part in enumerate(parts):
    alone = jc.rate_distortion(
      part, 5e-3, params=near[:, i], importance=importance[:, i]
    )
    np.testing.assert_array_equal(moved.parts[i].codes, alone.codes)
    assert (alone.codes != part.codes).any()
  both = jc.rate_distortion(stacked, 5e-3, importance=0.5)
  alone = jc.rate_distortion(parts[2], 5e-3, importance=0.5)
  np.testing.assert_array_equal(both.parts[2].codes, alone.codes)
  with pytest.raises(ValueError, match='no layers of sizes'):
    jc.rate_distortion(stacked, 5e-3, importance=importance[:, :2])


def test_stretched_weights_count_as_they_are_stretched():
  part, factor = grid((30, 20)), RNG.uniform(0.2, 3, (30, 1))
  factor[4] = 0
  leaf = encoded.Scaled(part, jnp.asarray(factor, jnp.float32))
  moved = jc.rate_distortion(leaf, 1e-2)
  alone = jc.rate_distortion(
    part, 1e-2, importance=np.broadcast_to(factor**2, (30, 20))
  )
  np.testing.assert_allclose(moved.decode(), factor * alone.decode(), rtol=1e-5)
  gone = moved.part.decode()[4]
  assert (gone == 0).all() and (part.codes[4] != 0).any()
  near = leaf.decode() + 1e-3
  again = jc.rate_distortion(leaf, 1e-2, params=near, importance=2.0)
  assert size(again) < size(leaf)
  assert np.isfinite(again.decode()).all()


def test_blocks_of_a_grid():
  codes = jnp.asarray(RNG.integers(0, 16, (32, 20)), jnp.uint8)
  scale = jnp.asarray(RNG.random((1, 20)) + 0.1, jnp.float32)
  leaf = encoded.Blocks(codes, scale, jnp.linspace(-1, 0.875, 16))
  moved = jc.rate_distortion(leaf, 0.05)
  assert size(moved) < 0.9 * size(leaf)


def rotated(shape=(40, 50), axis=1):
  """Pieces of 16, 16, 16 and 2, or 16, 16 and 8."""
  codes = np.clip(np.round(RNG.laplace(7, 2, shape)), 0, 14).astype(np.uint8)
  parts = list(shape)
  parts[axis] = {50: 4, 40: 3}[shape[axis]]
  return encoded.Rotated(
    jnp.asarray(codes),
    jnp.asarray(RNG.uniform(0.5, 1.5, parts), jnp.float32),
    jnp.arange(-7.0, 8.0),
    jnp.asarray(RNG.random(shape[axis]) < 0.5),
    axis,
    16,
  )


def in_blocks(leaf):
  """The same codes without the rotation; all pieces but one are of 16."""
  return encoded.Blocks(leaf.codes, leaf.scale, leaf.centers, (leaf.axis, 16))


@pytest.mark.parametrize('axis', [0, 1])
def test_rotated_codes_move_as_those_of_blocks(axis):
  leaf = rotated(axis=axis)
  for arguments in ({}, {'importance': 0.5}):
    moved = jc.rate_distortion(leaf, 0.5, **arguments)
    alone = jc.rate_distortion(
      in_blocks(leaf), 0.5, keep_zeros=False, **arguments
    )
    np.testing.assert_array_equal(moved.codes, alone.codes)
    assert size(moved) < size(leaf) - 20
  error = np.square(moved.decode() - leaf.decode()).sum()
  turned = np.square(alone.decode() - in_blocks(leaf).decode()).sum()
  np.testing.assert_allclose(error, turned, rtol=1e-4)


def test_rotated_codes_go_where_their_weights_are():
  leaf = rotated()
  off = RNG.integers(-1, 2, leaf.codes.shape)
  codes = jnp.clip(leaf.codes + off, 0, 14).astype(jnp.uint8)
  beside = dataclasses.replace(leaf, codes=codes)
  moved = jc.rate_distortion(
    beside, 0.0, params=leaf.decode(), keep_zeros=False
  )
  np.testing.assert_array_equal(moved.codes, leaf.codes)


def test_importance_counts_by_the_mean_of_a_piece():
  leaf = rotated()
  importance = RNG.random((40, 50))
  means = [importance[:, s : s + 16].mean(1) for s in (0, 16, 32, 48)]
  spread = np.repeat(np.stack(means, 1), [16, 16, 16, 2], 1)
  moved = jc.rate_distortion(leaf, 0.5, importance=importance)
  again = jc.rate_distortion(leaf, 0.5, importance=spread)
  np.testing.assert_array_equal(moved.codes, again.codes)
  spread[:, 16:32] = 1e3
  fixed = jc.rate_distortion(leaf, 0.5, importance=spread)
  assert (fixed.codes[:, 16:32] == leaf.codes[:, 16:32]).all()
  assert (fixed.codes[:, :16] != leaf.codes[:, :16]).any()
  with pytest.raises(ValueError, match=r'importance \[3, 50\]'):
    jc.rate_distortion(leaf, 0.5, importance=importance[:3])


def test_rotated_pieces_of_zeros_stay_and_the_leaf_may_be_inside():
  leaf = rotated()
  codes = leaf.codes.at[3, :16].set(7)
  leaf = dataclasses.replace(leaf, codes=codes)
  near = leaf.decode() + 3.0
  kept = jc.rate_distortion(leaf, 1e-3, params=near)
  assert (kept.codes[3, :16] == 7).all() and (kept.codes[4] != codes[4]).any()
  free = jc.rate_distortion(leaf, 1e-3, params=near, keep_zeros=False)
  assert (free.codes[3, :16] != 7).any()
  both = encoded.Stacked((leaf, rotated()), (0,), (2,))
  scaled = encoded.Scaled(leaf, jnp.full((1, 1), 2.0))
  for whole, part in ((both, lambda x: x.parts[0]), (scaled, lambda x: x.part)):
    times = 4 if whole is scaled else 1
    moved = jc.rate_distortion(whole, times * 0.5)
    alone = jc.rate_distortion(leaf, 0.5)
    np.testing.assert_array_equal(part(moved).codes, alone.codes)


@pytest.mark.parametrize(
  ('words', 'arguments'),
  [
    ('either a strength or a size', {}),
    ('either a strength or a size', {'strength': 1.0, 'size': 9}),
    ('strength is -1.0', {'strength': -1.0}),
    ('params does not fit', {'strength': 1.0, 'params': {'b': 1}}),
    (r'importance \[2\]', {'strength': 1.0, 'importance': {'a': np.ones(2)}}),
  ],
)
def test_what_does_not_fit_is_refused(words, arguments):
  with pytest.raises(ValueError, match=words):
    jc.rate_distortion({'a': grid()}, **arguments)


def test_it_is_a_function_of_its_arguments():
  leaf = grid()
  a, b = (jc.rate_distortion(leaf, 1e-3) for _ in range(2))
  assert jax.tree.all(jax.tree.map(lambda x, y: (x == y).all(), a, b))
