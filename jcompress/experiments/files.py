"""What a file says of its network, and the task that it describes."""

import pathlib
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, factoring, minilm, tasks, text
from jcompress.experiments.networks import Variables
from jcompress.experiments.removal import without
from jcompress.experiments.task import Task

BATCH = 128  # of what a file is looked at with


def describe(task: Task, recipe: str, seed: int) -> dict[str, Any]:
  """The metadata of the file of a run.

  Args:
    task: of the network as it is shipped.
    recipe: name of the row.
    seed: of the run.
  """
  metadata: dict[str, Any] = {'recipe': recipe, 'seed': seed, **task.about}
  if task.model is not None:
    metadata['model'] = task.model._asdict()
  if task.removed:
    metadata['removed'] = list(task.removed)
  if task.factored:
    metadata['factored'] = list(task.factored)
  return metadata


def task_of(
  metadata: Mapping[str, Any],
  name: str | None = None,
  data_dir: str | None = None,
) -> Task:
  """The task that the metadata of a file describe, its network rebuilt.

  Args:
    metadata: of the file.
    name: of the data; as the file says if not given.
    data_dir: its folder.

  Raises:
    ValueError: the model is not bundled, the data is not said, or either is
      unknown.
  """
  name = name or metadata.get('data')
  makers = {
    'image_classification': _images,
    'text_classification': _labelled_texts,
    'next_token': _next_token,
    'masked_tokens': _masked_tokens,
    'sentence_embedding': _sentences,
  }
  kind = metadata.get('task')
  if 'model' not in metadata or kind not in makers:
    raise ValueError(
      f'The file does not say how to build its model: its recipe is '
      f'{metadata.get("recipe", "unknown")}. Give its config with '
      '--config=FILE.py, or build the model and call jc.decode(tree).'
    )
  if name is None:
    raise ValueError('The file does not say its data set; give --data=NAME.')
  model = models.build(
    metadata['model']['name'], **metadata['model']['options']
  )
  task = makers[kind](model, metadata, name, data_dir)
  return shrunk(task, metadata)


def shrunk(task: Task, metadata: Mapping[str, Any]) -> Task:
  """The task without the channels that a file says were removed, and factored.

  A factorization is made `after` so many removals.
  """
  forms = jax.eval_shape(task.init, jax.random.key(0))
  removals = list(metadata.get('removed', ()))
  factorizations = metadata.get('factored', ())
  for i in range(len(removals) + 1):
    for record in factorizations:
      if record['after'] == i:
        task, forms = factoring.again(task, forms, record)
    if i < len(removals):
      task, forms = without(task, forms, removals[i])
  return task


def encoded_variables(artifact: jc.Artifact) -> Any:
  """The encoded variables of a file; one of params alone is taken, too."""
  tree = artifact.tree
  is_whole = isinstance(tree, dict) and 'params' in tree
  return tree if is_whole else {'params': tree}


def variables_of(artifact: jc.Artifact) -> Variables:
  """The decoded variables of a file."""
  return jc.decode(encoded_variables(artifact))


def load(path: str | pathlib.Path) -> tuple[Task, Variables]:
  """The task and the variables of a file of a bundled model."""
  artifact = jc.load(path)
  return task_of(artifact.metadata), variables_of(artifact)


def _images(model: nn.Module, metadata, name, data_dir):
  dataset, size = _labelled(name, data_dir)
  scale = metadata.get('scale')
  return tasks.image_classification(model, dataset, size, scale=scale)


def _labelled_texts(model: nn.Module, metadata, name, data_dir):
  del metadata
  return tasks.text_classification(model, *_labelled(name, data_dir))


def _next_token(model: nn.Module, metadata, name, data_dir):
  del data_dir
  return tasks.next_token(model, *_text(metadata, name))


def _masked_tokens(model: nn.Module, metadata, name, data_dir):
  del data_dir
  found, size, length = _text(metadata, name)
  return tasks.masked_tokens(model, found, size, length, metadata['hidden'])


def _labelled(name, data_dir):
  dataset = data.load(name, data_dir=data_dir)
  return dataset, min(BATCH, len(dataset.train_labels))


def _text(metadata, name):
  found = text.load(name, alphabet=metadata['alphabet'])
  length = metadata['length']
  rows = max(1, (len(found.train) - 1) // length)
  return found, min(BATCH, rows), length


def _sentences(model: nn.Module, metadata, name, data_dir):
  del metadata, name, data_dir
  return minilm.sentence_task(model)
