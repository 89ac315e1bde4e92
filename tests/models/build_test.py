import jax
import jax.numpy as jnp
import pytest

from jcompress import channel_groups, channel_widths, models


@pytest.mark.parametrize(
  ('name', 'options'),
  [
    ('lenet_300_100', {'features': [30, 10], 'dropout': [0.1, 0.2]}),
    ('lenet5', {'classes': 3}),
    ('vgg16', {'widths': {'conv1': 32}}),
    ('resnet', {'depth': 56, 'dtype': 'bfloat16'}),
    ('separable', {'blocks': [[8, 1], [16, 2]]}),
    ('vit', {'layers': 2}),
    ('bert', {}),
    ('bert_classifier', {'classes': 4}),
    ('bert_masked', {'vocabulary': 9}),
    ('binarized', {'blocks': [[20], [50]], 'activation': 'sign'}),
    ('binarized_mlp', {}),
    ('binarized_lenet5', {}),
    ('binarized_vgg', {'float_layers': ['first']}),
    ('character_lstm', {'vocabulary': 7}),
    ('compact_vgg', {'kind': 'p4', 'maps': [8, 8]}),
    ('group_resnet', {'features': [4, 8, 16]}),
    ('squeezenet', {'dropout': 0.1}),
    ('shufflenet', {'stages': [[48, 3]]}),
  ],
)
def test_a_model_is_built_as_it_is_described(name, options):
  module = models.build(name, **options)
  found = models.describe(module)
  default = {'activation': 'sign'}  # of BinarizedNet
  assert found.name == name
  assert found.options | default == options | default
  assert models.build(found.name, **found.options) == module
  hash(module)


def test_a_depth_in_the_name():
  assert models.build('resnet20', classes=3).depth == 20


def test_widths_of_a_plan_are_described():
  x = jnp.ones((1, 8, 8, 1))
  model = models.build('resnet8')
  forms = jax.eval_shape(model.init, jax.random.key(0), x)
  graph = channel_groups(model.apply, forms, x)
  plan = graph.plan({'params/conv2/kernel:3': range(4)})
  small = model.clone(widths=channel_widths(plan))
  found = models.describe(small)
  assert found.options['widths']['conv2'] == [4]
  again = models.build(found.name, **found.options)
  shapes = lambda m: jax.tree.map(
    jnp.shape, jax.eval_shape(m.init, jax.random.key(0), x)
  )
  assert shapes(again) == shapes(small)


@pytest.mark.parametrize(
  ('name', 'options', 'message'),
  [
    ('alexnet', {}, "No model 'alexnet'; there are bert, .* vit, and resnet20"),
    ('lenet5', {'depth': 3}, 'no option depth; there are classes, dtype'),
    ('character_lstm', {}, "not complete: .*'vocabulary'"),
  ],
)
def test_what_cannot_be_built(name, options, message):
  with pytest.raises(ValueError, match=message):
    models.build(name, **options)


def test_a_module_that_is_not_bundled():
  assert models.describe(models.binary_layers.BinaryDense(3)) is None
