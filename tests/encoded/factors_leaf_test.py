import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from leaves import assert_same, round_trip

import jcompress as jc
from jcompress import encoded
from jcompress.code import layouts, plain, wire

R = np.random.RandomState(0)
LETTERS = {
  'tucker': ('ia,hwab,bo->hwio', [(4, 2), (3, 3, 2, 3), (3, 5)], (3, 3, 4, 5)),
  'canonical': (
    'hr,wr,ir,or->hwio',
    [(3, 2), (3, 2), (4, 2), (5, 2)],
    (3, 3, 4, 5),
  ),
  'separable': ('hir,rwo->hwio', [(3, 4, 2), (2, 3, 5)], (3, 3, 4, 5)),
  'train': (
    'aijb,bklc,cmnd->ikmjln',
    [(1, 2, 5, 3), (3, 3, 3, 2), (2, 4, 2, 1)],
    (24, 30),
  ),
  'one': ('ab->ba', [(2, 3)], (3, 2)),
  'ones': ('zab,yb->a', [(1, 3, 2), (1, 2)], (3,)),
  'empty': ('ar,rb->ab', [(0, 2), (2, 3)], (0, 3)),
}
every = pytest.mark.parametrize('name', list(LETTERS))


def leaf(name, dtype=jnp.float32):
  equation, shapes, shape = LETTERS[name]
  factors = tuple(jnp.asarray(R.randn(*s), dtype) for s in shapes)
  return encoded.Factors(factors, equation, shape)


@every
def test_decode_is_the_einsum(name):
  x = leaf(name)
  wide = [np.asarray(f, np.float64) for f in x.factors]
  want = np.einsum(x.equation, *wide).reshape(x.shape)
  assert x.decode().shape == x.shape
  np.testing.assert_allclose(x.decode(), want, rtol=1e-5, atol=1e-5)
  assert x.bits() == 32 * sum(f.size for f in wide)


@every
def test_leaves_survive_the_file(name):
  x = leaf(name)
  back = round_trip(x)
  assert_same(back, x)
  assert jax.tree.structure(back) == jax.tree.structure(x)
  assert (back.equation, back.shape) == (x.equation, x.shape)


def test_halves_are_summed_in_float32_and_doubles_in_their_own():
  for dtype in (jnp.bfloat16, jnp.float16):
    many = jnp.full((1, 4096), 1, dtype), jnp.full((4096, 1), 0.01, dtype)
    x = encoded.Factors(many, 'ar,rb->ab', (1, 1))
    assert x.decode().dtype == dtype and round_trip(x).decode().dtype == dtype
    np.testing.assert_allclose(x.decode(), 40.96, rtol=0.01)
  x = encoded.Factors((np.array([1 / 3]), np.array([3.0])), 'a,a->a', (1,))
  assert x.decode().dtype == np.float64 and x.decode() == np.array([1.0])
  assert round_trip(x).decode().dtype == np.float64


def test_a_tree_of_factors_is_a_file_with_a_report():
  factors = leaf('tucker').factors
  tree = {'a': {'kernel': leaf('train')}, 'b': {'kernel': leaf('tucker')}}
  tied = encoded.Factors(factors, *LETTERS['tucker'][::2])
  tree['c'] = tree['d'] = tied
  artifact = jc.unpack(jc.pack(tree))
  for mine, read in zip(
    jax.tree.leaves(jc.decode(tree)),
    jax.tree.leaves(jc.decode(artifact.tree)),
    strict=True,
  ):
    np.testing.assert_array_equal(mine, read)
  rows = {r.path: r for r in jc.report(tree).rows}
  assert rows['a/kernel'].kind == 'Factors'
  assert rows['a/kernel'].parameters == 720
  assert rows['a/kernel'].entropy_bits == tree['a']['kernel'].bits()
  assert rows['d'].file_bytes == 0 == rows['d'].parameters  # tied to c
  assert (
    jc.bits(tree) == sum(tree[k]['kernel'].bits() for k in 'ab') + tied.bits()
  )


BAD = {
  'no arrow': {'equation': 'ia,hwab,bo'},
  'two arrows': {'equation': 'ia,hwab,bo->hw->io'},
  'other characters': {'equation': 'i.,hwab,bo->hwio'},
  'an ellipsis': {'equation': '...,hwab,bo->hwio'},
  'letters of another alphabet': {'equation': 'iα,hwαb,bo->hwio'},
  'blanks': {'equation': 'ia, hwab, bo->hwio'},
  'too few terms': {'equation': 'ia,hwab->hwi'},
  'too many terms': {'equation': 'ia,hwab,bo,o->hwio'},
  'too few axes': {'equation': 'ia,hwab,b->hwi'},
  'a diagonal': {'equation': 'ia,hhab,bo->hio'},
  'sizes that differ': {'equation': 'ia,hwba,bo->hwio'},
  'a result twice': {'equation': 'ia,hwab,bo->hhio'},
  'a result of nowhere': {'equation': 'ia,hwab,bo->hwix'},
  'another size': {'shape': (3, 3, 4, 6)},
  'a negative shape': {'shape': (-3, -3, 4, 5)},
}
NO_LEAF = {
  'a shape of no numbers': {'shape': ['a']},
  'an equation of no text': {'equation': 7},
  'a shape that is none': {'shape': None},
}


def hostile(good, equation, shape):
  """The record of a leaf with other text in it."""
  record = layouts.encode(good, 'raw', 'w')
  reader = wire.Reader(record[1:], 'w')
  reader.prefixed()
  text = plain.dumps([equation, shape], 'w')
  return record[:1] + wire.prefixed(text) + reader.rest()


@pytest.mark.parametrize('change', list(BAD.values()), ids=list(BAD))
def test_what_does_not_fit_is_refused_on_both_sides(change):
  good = leaf('tucker')
  with pytest.raises(ValueError, match='does not decode'):
    layouts.encode(dataclasses.replace(good, **change), 'raw', 'w')
  text = {'equation': good.equation, 'shape': good.shape} | change
  record = hostile(good, text['equation'], list(text['shape']))
  with pytest.raises(ValueError, match='does not decode'):
    layouts.decode(record, 'Factors')


@pytest.mark.parametrize('change', list(NO_LEAF.values()), ids=list(NO_LEAF))
def test_text_of_another_kind_is_refused(change):
  good = leaf('tucker')
  text = {'equation': good.equation, 'shape': list(good.shape)} | change
  with pytest.raises(ValueError, match='Damaged|does not decode'):
    layouts.decode(hostile(good, **text), 'Factors')


def test_factors_of_other_kinds_are_refused():
  good = leaf('one')
  for factors in (
    (jnp.ones((2, 3), jnp.int32),),
    (jnp.ones((2, 3)), jnp.ones((2, 3), jnp.bfloat16)),
    (),
  ):
    equation = ','.join(['ab'] * len(factors)) + '->ba'
    bad = dataclasses.replace(good, factors=factors, equation=equation)
    with pytest.raises(ValueError, match='does not decode'):
      layouts.encode(bad, 'auto', 'w')
  with pytest.raises(ValueError, match=r'w.factors\[0\] has NaN'):
    bad = dataclasses.replace(good, factors=(jnp.full((2, 3), jnp.nan),))
    layouts.encode(bad, 'auto', 'w')


def test_products_that_would_burst_the_memory_are_refused():
  vectors = [jnp.ones((3000, 1))] * 3
  bomb = encoded.Factors(tuple(vectors), 'ax,bx,cx->a', (3000,))
  assert bomb.decode()[0] == 3000**2  # b and c are summed before they meet
  for factors, equation, shape in (
    ([*vectors, *vectors], 'ax,bx,cx,ax,bx,cx->x', (1,)),
    ([*vectors, jnp.ones((3000, 0))], 'ax,bx,cx,ad->bcd', (3000, 3000, 0)),
  ):
    with pytest.raises(ValueError, match='entries on the way'):
      layouts.encode(
        encoded.Factors(tuple(factors), equation, shape), 'auto', 'w'
      )


def test_flipped_bits_give_a_leaf_or_a_value_error():
  record = layouts.encode(leaf('train'), 'auto', 'w')
  read = 0
  for i in range(min(len(record), 80)):
    for bit in (1, 16, 128):
      damaged = bytearray(record)
      damaged[i] ^= bit
      try:
        found = layouts.decode(bytes(damaged), 'Factors').decode()
      except ValueError:
        continue
      read += 1
      assert found.size == 720
  assert read < 160
