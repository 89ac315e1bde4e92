"""Ready-made tasks: classes of images and texts, next and hidden tokens."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jcompress.experiments import sources
from jcompress.experiments.data import Dataset
from jcompress.experiments.networks import Network, linen
from jcompress.experiments.task import Metrics, Task
from jcompress.experiments.text import Text

TEST_SIZE = 1000  # examples at a time in evaluation


def image_classification(
  model: nn.Module | Network,
  dataset: Dataset,
  batch_size: int = 128,
  *,
  scale: Sequence[Any] | None = None,
  augment: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
) -> Task:
  """Classes of images, or of rows of numbers.

  Args:
    model: a linen module of images, or a network of `batch['image']` as it lies
      in the data (`pixels` makes floats of it).
    dataset: labelled images; bytes are scaled to [0, 1].
    batch_size: examples of a batch of training.
    scale: the mean and the deviation of the scaled images, numbers or one a
      channel, by which they are standardized.
    augment: `(key, images) -> images`, in training, on the scaled images; see
      `augment`.

  Raises:
    ValueError: see `sources.shuffled`.
  """
  inputs = lambda batch: (pixels(batch['image'], scale),)
  network = model if isinstance(model, Network) else linen(model, inputs)
  about: dict[str, Any] = {'task': 'image_classification'}
  if scale is not None:
    about['scale'] = [np.asarray(x, float).tolist() for x in scale]
  seen = None if augment is None else _seen(augment)
  if seen is not None:
    network = network._replace(apply=_augmented(network.apply, seen))
  arrays = lambda x, y: {'image': x, 'label': y}
  task = _task(
    network,
    sources.shuffled(
      arrays(dataset.train_inputs, dataset.train_labels), batch_size
    ),
    sources.in_order(
      arrays(dataset.test_inputs, dataset.test_labels), TEST_SIZE
    ),
    about | {'data': dataset.name},
  )
  return task._replace(seen=seen)


def text_classification(
  model: nn.Module | Network, dataset: Dataset, batch_size: int = 32
) -> Task:
  """Classes of rows of tokens, which end where the zeros begin.

  Args:
    model: a linen module of tokens and a mask of those that count, or a network
      of `batch['tokens']`.
    dataset: labelled tokens, `[n, length]`.
    batch_size: examples of a batch of training.
  """
  inputs = lambda batch: (batch['tokens'], batch['tokens'] != 0)
  arrays = lambda x, y: {'tokens': x, 'label': y}
  return _task(
    model if isinstance(model, Network) else linen(model, inputs),
    sources.shuffled(
      arrays(dataset.train_inputs, dataset.train_labels), batch_size
    ),
    sources.in_order(
      arrays(dataset.test_inputs, dataset.test_labels), TEST_SIZE
    ),
    {'task': 'text_classification', 'data': dataset.name},
  )


def next_token(
  model: nn.Module | Network, text: Text, batch_size: int = 32, length: int = 64
) -> Task:
  """The next character of a text, at each place of its rows.

  Args:
    model: a linen module of tokens, or a network of `batch['tokens']`; its
      outputs are logits `[batch, length, vocabulary]`, or begin with them.
    text: cut into rows.
    batch_size: rows of a batch of training.
    length: characters of a row.
  """
  inputs = lambda batch: (batch['tokens'],)
  return _task(
    model if isinstance(model, Network) else linen(model, inputs),
    sources.shuffled(sources.windows(text.train, length), batch_size),
    sources.in_order(sources.windows(text.test, length), TEST_SIZE),
    _about_text('next_token', text, length),
  )


def masked_tokens(
  model: nn.Module | Network,
  text: Text,
  batch_size: int = 32,
  length: int = 64,
  share: float = 0.15,
) -> Task:
  """The characters of a text that were hidden; see `sources.masked`.

  Args:
    model: a linen module of tokens, or a network of `batch['tokens']`, with
      logits `[batch, length, vocabulary]`. The vocabulary is that of the text
      and the sign of what is hidden, `len(text.alphabet)`.
    text: cut into rows.
    batch_size: rows of a batch of training.
    length: characters of a row.
    share: of the characters that is to be guessed, in 0 .. 1.
  """
  inputs = lambda batch: (batch['tokens'],)
  hide = lambda source: sources.masked(source, len(text.alphabet), share)
  return _task(
    model if isinstance(model, Network) else linen(model, inputs),
    hide(sources.shuffled(sources.windows(text.train, length), batch_size)),
    hide(sources.in_order(sources.windows(text.test, length), TEST_SIZE)),
    _about_text('masked_tokens', text, length) | {'hidden': share},
  )


def cross_entropy(outputs: Any, batch: Any) -> tuple[jax.Array, Metrics]:
  """The mean cross entropy of a batch, and its error in percent."""
  sums = classification_metrics(outputs, batch)
  means = {name: total / count for name, (total, count) in sums.items()}
  return means.pop('loss'), means


def classification_metrics(outputs: Any, batch: Any) -> Metrics:
  """Sums of errors, in percent, and of cross entropies, in nats.

  Args:
    outputs: logits, the classes along the last axis.
    batch: with `'label'` or `'targets'`, and where not all count `'weights'`.
  """
  logits, labels = logits_of(outputs), labels_of(batch)
  losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  wrong = logits.argmax(-1) != labels
  if 'weights' not in batch:
    return {'error': (100 * wrong.sum(), wrong.size), 'loss': _sum(losses)}
  weights = batch['weights']
  count = jnp.maximum(weights.sum(), 1)
  return {
    'error': (100 * (weights * wrong).sum(), count),
    'loss': ((weights * losses).sum(), count),
  }


def logits_of(outputs: Any) -> Any:
  """Outputs, or the first of them."""
  return outputs[0] if isinstance(outputs, tuple) else outputs


def labels_of(batch: Any) -> Any:
  """The classes of a batch."""
  return batch['label'] if 'label' in batch else batch['targets']


def pixels(images: Any, scale: Sequence[Any] | None = None) -> jax.Array:
  """Bytes as floats in [0, 1]; standardized where a scale is given.

  >>> pixels(np.array([0, 255], np.uint8), (0.5, 0.25))
  Array([-2.,  2.], dtype=float32)
  """
  x = jnp.asarray(images)
  if x.dtype == jnp.uint8:
    x = x.astype(jnp.float32) / 255
  if scale is not None:
    mean, deviation = (np.asarray(s, np.float32) for s in scale)
    x = (x - mean) / deviation
  return x


def _task(network, train, test, about):
  sample = sources.first(test, 1)
  return Task(
    lambda key: network.init(key, sample),
    network.apply,
    network.predict,
    cross_entropy,
    classification_metrics,
    train,
    test,
    network.model,
    about,
  )


def _about_text(kind, text, length):
  about = {'task': kind, 'data': text.name, 'length': length}
  return about | {'alphabet': text.alphabet}


def _seen(augment):
  def seen(batch, key):
    own, _ = jax.random.split(key)
    return batch | {'image': augment(own, pixels(batch['image']))}

  return seen


def _augmented(apply, seen):
  def run(variables, batch, key):
    _, others = jax.random.split(key)
    return apply(variables, seen(batch, key), others)

  return run


def _sum(x):
  return x.sum(), x.size
