import compressors
import jax.numpy as jnp
import pytest

import jcompress as jc
from jcompress.passing import checked

COMPRESSORS = {
  'magnitude': jc.magnitude_prune(0.5),
  'kmeans': jc.kmeans_share(k=3),
  'learned_step': jc.learned_step(4),
  'identity': jc.identity(),
}


@pytest.mark.parametrize('mine', COMPRESSORS)
@pytest.mark.parametrize('other', COMPRESSORS)
def test_what_another_compressor_made_is_refused(mine, other):
  comp = COMPRESSORS[mine]
  latent, state = COMPRESSORS[other].init(compressors.kernels())
  if mine == other:
    comp.encode(latent, state)
    return
  for use in (comp.view, comp.encode):
    with pytest.raises(ValueError, match='not take this latent and state. Are'):
      use(latent, state)


def test_errors_with_a_message_of_their_own_keep_it():
  def refuse(latent, state):
    raise ValueError('The scale is 0.')

  comp = checked(jc.identity()._replace(view=refuse))
  with pytest.raises(ValueError, match='^The scale is 0.$'):
    comp.view(jnp.ones(2), ())


def test_params_without_any_float_are_nothing_to_compress():
  with pytest.raises(ValueError, match='nothing to compress: a are integers'):
    jc.magnitude_prune(0.5).init({'a': jnp.arange(3)})
  assert jc.magnitude_prune(0.5).init({})[0] == {}
