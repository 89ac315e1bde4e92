import jax
import jax.numpy as jnp
import numpy as np

from jcompress.traced import jaxprs


def test_tracing_looks_at_shapes_only():
  form = jax.ShapeDtypeStruct((1 << 20, 1 << 20), jnp.float32)
  closed, out = jaxprs.trace(lambda p: {'sum': p['w'].sum(0)}, {'w': form})
  assert closed.out_avals[0].shape == (1 << 20,)
  assert out.unflatten([1]) == {'sum': 1}


def test_calls_show_what_they_run():
  @jax.custom_jvp
  def ruled(x):
    return x + 1

  ruled.defjvps(lambda dx, y, x: dx)
  calls = {
    'jit': jax.jit(jnp.sin),
    'checkpoint': jax.checkpoint(jnp.sin),
    'relu': jax.nn.relu,
    'ruled': ruled,
  }
  for name, call in calls.items():
    closed, _ = jaxprs.trace(call, jnp.ones(3))
    found = jaxprs.inner(closed.eqns[0])
    assert found is not None and len(found.jaxpr.invars) == 1, name


def test_loops_and_arithmetic_are_no_calls():
  loop = lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y + x, x)
  for f in (loop, jnp.sin):
    closed, _ = jaxprs.trace(f, jnp.ones(3))
    assert all(jaxprs.inner(eqn) is None for eqn in closed.eqns)


def test_equations_bound_one_by_one_give_the_result():
  f = lambda x: jnp.split(jnp.tanh(x.reshape(2, 2)) * 3, 2)
  x = jnp.arange(4.0)
  closed, out = jaxprs.trace(f, x)
  values = dict(zip(closed.jaxpr.invars, [x], strict=True))
  for eqn in closed.eqns:
    args = [jaxprs.read(values, a) for a in eqn.invars]
    got = jaxprs.bind(eqn.primitive, args, eqn.params)
    values |= dict(zip(eqn.outvars, got, strict=True))
  got = [jaxprs.read(values, a) for a in closed.jaxpr.outvars]
  for a, b in zip(out.unflatten(got), f(x), strict=True):
    np.testing.assert_array_equal(a, b)
