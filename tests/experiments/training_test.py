import signal
import threading

import jax
import pytest
import tiny

from jcompress.experiments import stages, training


def test_ctrl_c_saves_the_step_it_was_pressed_in(tmp_path, monkeypatch):
  real = training.sources.placed

  def pressed(source, seed, step, sharding):
    if step == 5:
      signal.raise_signal(signal.SIGINT)
    return real(source, seed, step, sharding)

  recipe, config = tiny.recipe_of(tiny.dense()), tiny.config()
  before = signal.getsignal(signal.SIGINT)
  with monkeypatch.context() as patch:
    patch.setattr(training.sources, 'placed', pressed)
    with pytest.raises(training.Stopped, match="after step 6 of 8 of 'dense'"):
      stages.run(recipe, config, tmp_path)
  assert signal.getsignal(signal.SIGINT) is before
  assert (tmp_path / 'checkpoints' / 'dense' / '6').exists()
  assert stages.run(recipe, config, tmp_path).measured['dense']['error'] < 67


def test_a_second_ctrl_c_stops_at_once():
  with training.Interrupts() as interrupts:
    signal.raise_signal(signal.SIGINT)
    assert interrupts.seen
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)


def test_in_another_thread_nothing_is_remembered():
  seen = []

  def work():
    with training.Interrupts() as interrupts:
      seen.append(interrupts.seen)

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [False]


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
  assert jax.device_count() == 8
  recipe = tiny.recipe_of(tiny.dense(), make_task=lambda: tiny.task(12))
  with pytest.raises(ValueError, match='multiple of the 8 devices'):
    stages.run(recipe, tiny.config(), tmp_path)
