import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jcompress.experiments import sources
from jcompress.experiments.sources import WHOLE

LABELS = np.arange(10)


def shuffled(batch_size=3):
  return sources.shuffled({'label': LABELS}, batch_size)


def take(steps, seed=0, source=None):
  source = source or shuffled()
  return [source.get(seed, i, WHOLE)['label'].tolist() for i in steps]


def test_a_batch_is_a_function_of_seed_and_step():
  later = take([5])
  assert take(range(9))[5:6] == later == take([7, 5])[1:]
  assert take(range(3), seed=1) != take(range(3))


def test_every_epoch_is_a_new_permutation_without_its_rest():
  source = shuffled()
  assert (source.steps, source.size) == (3, 3)
  epochs = [sum(take(range(3 * e, 3 * e + 3)), []) for e in range(4)]
  assert all(len(set(e)) == 9 for e in epochs)
  assert len({tuple(e) for e in epochs}) == 4


def test_arrays_stay_together_and_keep_their_types():
  arrays = {'label': LABELS.astype(np.int32), 'image': LABELS.astype(np.uint8)}
  batch = sources.shuffled(arrays, 4).get(0, 0, WHOLE)
  np.testing.assert_array_equal(batch['label'], batch['image'])
  assert (batch['label'].dtype, batch['image'].dtype) == (np.int32, np.uint8)


def test_in_order_the_last_batch_is_smaller():
  source = sources.in_order({'label': LABELS}, 4)
  assert (source.steps, source.size) == (3, 4)
  assert take(range(4), source=source)[1:] == [
    [4, 5, 6, 7],
    [8, 9],
    [0, 1, 2, 3],
  ]
  assert sources.in_order({'label': LABELS}, 99).size == 10


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: shuffled(11), '1 .. 10'),
    (lambda: shuffled(0), 'batch_size is 0'),
    (lambda: sources.in_order({'a': LABELS}, 0), 'batch_size is 0'),
    (lambda: sources.in_order({'a': LABELS[:0]}, 2), '0 examples'),
    (
      lambda: sources.shuffled({'a': LABELS, 'b': LABELS[:9]}, 2),
      "'a': 10, 'b': 9",
    ),
    (lambda: sources.windows(LABELS, 10), 'the text has 10'),
    (lambda: sources.windows(LABELS, 0), 'length is 0'),
    (lambda: sources.masked(shuffled(), 9, 0), 'share is 0'),
  ],
)
def test_bad_arguments_are_refused_at_once(make, message):
  with pytest.raises(ValueError, match=message):
    make()


def test_the_last_character_of_a_text_is_a_target():
  rows = sources.windows(np.arange(11), 5)
  np.testing.assert_array_equal(rows['targets'], rows['tokens'] + 1)
  assert rows['targets'].max() == 10


def test_each_device_gets_its_own_rows_only():
  asked = []

  def get(seed, step, rows):
    asked.append(rows)
    return {'label': np.arange(16)[rows] + 100 * step}

  source = sources.Source(get, 1, 16)
  mesh = jax.make_mesh((8,), ('data',))
  sharding = NamedSharding(mesh, PartitionSpec('data'))
  batch = sources.placed(source, 0, 2, sharding)
  np.testing.assert_array_equal(batch['label'], np.arange(200, 216))
  assert batch['label'].sharding == sharding
  assert sorted(r.start for r in asked) == list(range(0, 16, 2))


def test_one_device_gets_the_batch_as_it_is():
  one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  batch = sources.placed(shuffled(), 0, 4, one)
  assert batch['label'].tolist() == take([4])[0]


def test_the_first_examples_come_in_as_many_batches_as_it_takes():
  source = sources.in_order({'label': LABELS}, 4)
  assert sources.first(source, 6)['label'].tolist() == list(range(6))
  assert len(sources.first(source, 99)['label']) == 10


def test_hidden_tokens_are_chosen_by_seed_and_step():
  tokens = np.tile(np.arange(50, dtype=np.int32), (40, 1))
  source = sources.masked(sources.in_order({'tokens': tokens}, 40), 50, 0.3)
  batch = source.get(3, 0, WHOLE)
  chosen, changed = batch['weights'] == 1, batch['tokens'] != tokens
  np.testing.assert_array_equal(batch['targets'], tokens)
  assert not changed[~chosen].any()
  assert abs(chosen.mean() - 0.3) < 0.03
  # A tenth stays, and of the tenth drawn at random one in fifty.
  assert abs((batch['tokens'] == 50)[chosen].mean() - 0.8) < 0.05
  assert abs(changed[chosen].mean() - 0.898) < 0.05
  rows = source.get(3, 0, slice(7, 9))
  np.testing.assert_array_equal(rows['tokens'], batch['tokens'][7:9])
  assert (source.get(4, 0, WHOLE)['tokens'] != batch['tokens']).any()


@pytest.mark.parametrize('kind', [sources.shuffled, sources.in_order])
def test_an_array_beside_keeps_to_its_examples(kind):
  source = kind({'x': np.arange(10)}, 3)
  both = sources.beside(source, 'double', lambda arrays: 2 * arrays['x'])
  for step in range(2 * source.steps):
    batch = both.get(5, step, slice(1, 3))
    want = source.get(5, step, slice(1, 3))['x']
    np.testing.assert_array_equal(batch['x'], want)
    np.testing.assert_array_equal(batch['double'], 2 * want)
  with pytest.raises(ValueError, match='give each as many'):
    sources.beside(source, 'y', lambda arrays: np.zeros(4))
