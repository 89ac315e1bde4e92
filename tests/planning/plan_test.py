import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.planning.choices import Choice
from jcompress.planning.plan import Plan, Point

PARAMS = {
  'fc': {
    'kernel': jax.random.normal(jax.random.key(0), (50, 40)),
    'bias': jnp.ones(40),
  },
  'ids': jnp.arange(3),
}
PLAN = Plan(
  {'fc/kernel': Choice('steps', {'step': 0.25})},
  1300,
  0.02,
  (Point(1000, 0.1), Point(1300, 0.02)),
)


def test_it_replays_bit_for_bit_from_its_text():
  again = Plan.from_json(PLAN.to_json())
  assert again == PLAN
  assert jc.pack(again.apply(PARAMS)) == jc.pack(PLAN.apply(PARAMS))
  lines = PLAN.to_json().splitlines()
  assert any('fc/kernel' in line and '0.25' in line for line in lines)
  assert json.loads(PLAN.to_json())['size'] == 1300


def test_what_it_does_not_name_ships_as_it_is():
  shipped = PLAN.apply(PARAMS)
  decoded = jc.decode(shipped)
  np.testing.assert_array_equal(decoded['fc']['bias'], PARAMS['fc']['bias'])
  assert decoded['ids'].dtype == 'int32'
  change = decoded['fc']['kernel'] - PARAMS['fc']['kernel']
  assert 0 < jnp.abs(change).max() < 0.2


def test_it_is_a_stage_of_a_recipe():
  comp = PLAN.compressor()
  latent, state = comp.init(PARAMS)
  assert not jax.tree.leaves(latent)
  assert jc.pack(comp.encode(latent, state)) == jc.pack(PLAN.apply(PARAMS))
  view = jax.jit(comp.view)(latent, state)
  want = jc.decode(PLAN.apply(PARAMS))
  jax.tree.map(np.testing.assert_array_equal, view, want)
  assert comp.penalty(latent, state) == 0


def test_a_plan_of_other_params_is_refused():
  with pytest.raises(ValueError, match='plan is for fc/kernel, and the params'):
    PLAN.apply({'fc': {'bias': jnp.ones(3)}})


@pytest.mark.parametrize(
  'text', ['', '[]', '{}', '{"version": 9}', '{"version": 1, "size": 1}']
)
def test_other_text_is_refused(text):
  with pytest.raises(ValueError, match='This is not a plan'):
    Plan.from_json(text)


def test_moments_of_both_sides_are_planned_for_as_they_are_followed():
  rng = np.random.default_rng(0)
  params = {
    'words': {'embedding': rng.normal(size=(300, 32)).astype('float32')},
    'fc': {'kernel': rng.normal(size=(32, 48)).astype('float32')},
  }
  apply = lambda p, ids: jnp.tanh(
    jnp.asarray(p['words']['embedding'])[ids] @ p['fc']['kernel']
  )
  ids = np.minimum(rng.geometric(0.05, (400,)) - 1, 299)
  moments = jc.kronecker(apply, params, [ids])
  plan = jc.plan(params, size=6000, moments=moments)
  methods = {path: choice.method for path, choice in plan.choices.items()}
  assert methods == {'words/embedding': 'rows', 'fc/kernel': 'feedback'}
  encoded = plan.apply(params, moments)
  assert len(jc.pack(encoded)) == plan.size
  plain = jc.decode(jc.compress(params, size=plan.size))
  off = lambda p: float(
    jc.losses.relative_error(apply(p, ids), apply(params, ids))
  )
  assert off(jc.decode(encoded)) < 0.8 * off(plain)
  with pytest.raises(ValueError, match='rounds by .*, which needs the second'):
    plan.apply(params)
