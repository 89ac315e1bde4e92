import time

from jcompress.experiments.progress import Progress


def test_in_a_pipe_there_is_a_line_every_few_seconds(capsys, monkeypatch):
  clock = iter([0.0, 1.0, 2.0, 6.0, 7.0, 8.0])
  monkeypatch.setattr(time, 'monotonic', lambda: next(clock))
  with Progress('prune', 0, 5) as progress:
    for i in range(5):
      progress.advance()
      progress.show({'loss': 0.5 - i / 10, 'sparsity': 90.123})
  lines = capsys.readouterr().out.splitlines()
  assert lines == [
    '   prune 3/5  loss 0.3  sparsity 90.12  6 s',
    '   prune 5/5  loss 0.1  sparsity 90.12  8 s',
  ]


def test_a_resumed_stage_says_from_where(capsys):
  with Progress('prune', 30, 50):
    pass
  assert capsys.readouterr().out == 'prune: going on from step 30 of 50\n'


def test_in_a_terminal_there_is_a_bar(capsys, monkeypatch):
  monkeypatch.setattr('sys.stdout.isatty', lambda: True)
  with Progress('prune', 0, 2) as progress:
    progress.advance()
    progress.show({'loss': 0.25})
    assert progress.bar.tasks[0].completed == 1
    assert progress.bar.tasks[0].fields['numbers'] == 'loss 0.25'
