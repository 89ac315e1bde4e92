import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax.numpy as jnp
import pytest
from helpers import RUN_FILES

import jcompress as jc
from jcompress import main
from jcompress.experiments.metrics import read_metrics

CONFIG = 'configs/deep_compression.py'
ROOT = pathlib.Path(__file__).parent.parent
SHORT = [
  '--config.epochs.dense=1',
  '--config.epochs.prune=2',
  '--config.epochs.share=1',
]


def train(workdir, *more):
  main.main(
    [
      'train',
      f'--config={ROOT / CONFIG}',
      f'--workdir={workdir}',
      *SHORT,
      *more,
    ]
  )


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run')
  train(workdir)
  return workdir


def test_train_writes_everything_and_reports_what_it_decodes(finished, capsys):
  assert {p.name for p in finished.iterdir()} == RUN_FILES
  result = json.loads((finished / 'result.json').read_text())
  assert result['bytes'] == (finished / 'model.jcz').stat().st_size
  assert result['ratio'] > 40
  config = json.loads((finished / 'config.json').read_text())
  assert config['k'] == 15
  main.main(['evaluate', str(finished / 'model.jcz')])
  assert f'{result["decoded"]["error"]:.2f} %' in capsys.readouterr().out


def test_the_file_has_shared_values_and_zeros(finished):
  artifact = jc.load(finished / 'model.jcz')
  leaf = artifact.tree['params']['fc1']['kernel']
  assert isinstance(leaf, jc.encoded.Codebook)
  assert len(jnp.unique(leaf.decode())) <= 16
  assert (leaf.decode() != 0).sum() == round(0.065 * 235_200)


def test_inspect_prints_metadata_and_the_table(finished, capsys):
  main.main(['inspect', str(finished / 'model.jcz')])
  out = capsys.readouterr().out
  for word in ("'name': 'lenet_300_100'", 'fc1/kernel', '784x300', 'total'):
    assert word in out


def test_a_workdir_does_not_go_on_with_another_config(finished):
  with pytest.raises(ValueError, match='k: 15 -> 7.*new --workdir'):
    train(finished, '--config.k=7')
  train(finished, '--config.log_every=7')


def test_sensitivity_of_a_file_writes_a_table_and_a_figure(finished, tmp_path):
  main.main(
    [
      'sensitivity',
      str(finished / 'model.jcz'),
      f'--workdir={tmp_path}',
      '--sparsities=0.95,0.99',
      '--examples=768',
    ]
  )
  found = json.loads((tmp_path / 'sensitivity.json').read_text())
  assert (tmp_path / 'sensitivity.png').read_bytes().startswith(b'\x89PNG')
  kept = [r['kept'] for r in found['rows']]
  # The layers keep 6.5, 10 and 30 % already.
  assert kept == [11760, 2352, 1500, 300, 50, 10]
  dense, *_ = found['dense']
  assert dense['kept'] == round(0.065 * 235_200)
  assert found['allocation'] is None and dense['metrics']['error'] < 40


def test_sensitivity_of_a_run_prunes_the_first_stage(
  finished, tmp_path, capsys
):
  workdir = tmp_path / 'run'
  shutil.copytree(finished, workdir)
  arguments = [
    'sensitivity',
    f'--config={ROOT / CONFIG}',
    f'--workdir={workdir}',
    *SHORT,
    '--sparsities=0.5,0.9',
    '--sparsity=0.8',
    '--examples=500',
  ]
  main.main(arguments)
  out = capsys.readouterr().out
  assert 'fc1/kernel' in out and 'prune' in out
  found = json.loads((workdir / 'sensitivity.json').read_text())
  assert [r['kept'] for r in found['dense']] == [235_200, 30_000, 1_000]
  sizes = {r['path']: r['size'] for r in found['dense']}
  pruned = {p: round(s * sizes[p]) for p, s in found['allocation'].items()}
  assert sum(pruned.values()) == round(0.8 * 266_200)
  assert (workdir / 'sensitivity.png').exists()
  with pytest.raises(ValueError, match='there are dense, prune, share'):
    main.main([*arguments, '--stage=shared'])


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path):
  words = ['train', f'--config={CONFIG}', f'--workdir={tmp_path}', *SHORT]
  command = [sys.executable, '-m', 'jcompress.main', *words]
  process = subprocess.Popen(
    command,
    cwd=ROOT,
    stderr=subprocess.PIPE,
    text=True,
    env=os.environ | {'XLA_FLAGS': ''},
  )
  deadline = time.monotonic() + 60
  while not (tmp_path / 'checkpoints' / 'dense' / '31').exists():
    assert process.poll() is None and time.monotonic() < deadline
    time.sleep(0.02)
  process.send_signal(signal.SIGINT)
  _, said = process.communicate(timeout=60)
  assert process.returncode == 130
  assert said.splitlines()[-1].endswith(
    'Go on with: jcompress ' + ' '.join(words)
  )
  assert 'Traceback' not in said
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert 'dense: going on from step 31 of 31' in done.stdout


@pytest.mark.slow
def test_killed_and_restarted_the_file_is_the_same(tmp_path):
  def start(workdir):
    command = [sys.executable, '-m', 'jcompress.main', 'train']
    arguments = [f'--config={CONFIG}', f'--workdir={workdir}', *SHORT]
    arguments.append('--config.checkpoint_every=5')
    return subprocess.Popen(
      command + arguments,
      cwd=ROOT,
      stdout=subprocess.DEVNULL,
      env=os.environ | {'XLA_FLAGS': ''},
    )

  assert start(tmp_path / 'whole').wait() == 0
  metrics = tmp_path / 'killed' / 'checkpoints'
  for stage in ('dense', 'prune'):
    process = start(tmp_path / 'killed')
    deadline = time.monotonic() + 60
    while not any((metrics / stage).glob('*[05]')):
      assert process.poll() is None and time.monotonic() < deadline
      time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
  assert start(tmp_path / 'killed').wait() == 0
  read = lambda name, file: (tmp_path / name / file).read_bytes()
  assert read('killed', 'model.jcz') == read('whole', 'model.jcz')
  assert read('killed', 'metrics.jsonl') == read('whole', 'metrics.jsonl')


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path):
  with socket.socket() as s:
    s.bind(('localhost', 0))
    port = s.getsockname()[1]

  def start(rank):
    # What Open MPI tells its processes, which jax.distributed reads.
    launcher = {
      'OMPI_MCA_orte_hnp_uri': '0.0;tcp://127.0.0.1:0',
      'OMPI_COMM_WORLD_SIZE': '2',
      'OMPI_COMM_WORLD_RANK': str(rank),
      'OMPI_COMM_WORLD_LOCAL_RANK': str(rank),
      'JAX_COORDINATOR_PORT': str(port),
      'XLA_FLAGS': '',
    }
    command = [sys.executable, '-m', 'jcompress.main', 'train', '--distributed']
    arguments = [f'--config={CONFIG}', f'--workdir={tmp_path}', *SHORT]
    return subprocess.Popen(
      command + arguments,
      cwd=ROOT,
      stdout=subprocess.PIPE,
      text=True,
      env=os.environ | launcher,
    )

  outputs = [p.communicate(timeout=120) for p in [start(0), start(1)]]
  assert 'decoded from' in outputs[0][0]
  assert 'decoded from' not in outputs[1][0]
  result = json.loads((tmp_path / 'result.json').read_text())
  assert result['ratio'] > 40 and result['decoded']['error'] < 40
  steps = [r['step'] for r in read_metrics(tmp_path / 'metrics.jsonl')]
  assert steps == [31, 31, 50, 62, 62, 31, 31]


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['press'], 'no command'),
    (['train', '--workdir=x'], 'needs --config'),
    (['inspect'], 'expected 1 file'),
    (['inspect', 'a', 'b'], 'expected 1 file'),
    (['sensitivity'], 'Give a FILE.jcz, or --config'),
    (['sensitivity', f'--config={ROOT / CONFIG}'], 'and --workdir of a run'),
    (['sensitivity', 'a.jcz', '--stage=dense'], '--stage is of a run'),
    (['sensitivity', 'a', 'b'], 'expected 0 or 1 file'),
  ],
)
def test_wrong_commands_say_what_is_right(arguments, message):
  with pytest.raises(ValueError, match=message):
    main.main(arguments)


@pytest.mark.parametrize(
  ('command', 'flag'),
  [
    ('train', '--distributed'),
    ('inspect', 'Prints the metadata'),
    ('evaluate', '--data_dir'),
    ('sensitivity', '--sparsities'),
    ('sweep', '--cluster'),
    ('results', 'results.csv'),
  ],
)
def test_each_command_has_help(command, flag, capsys):
  main.main([command, '--help'])
  out = capsys.readouterr().out
  assert out.startswith(f'jcompress {command} ') and flag in out


def test_a_file_is_evaluated_by_the_task_of_a_config(tmp_path, capsys):
  path = tmp_path / 'own.py'
  path.write_text("""
import jax.numpy as jnp, numpy as np
from jcompress.experiments import networks, recipe, sources
from jcompress.experiments.task import Task
get_config = lambda: recipe.defaults(data='own', count=3)
get_stages = lambda config, task: []

def get_task(config):
  network = networks.plain(
    lambda key: jnp.ones(()), lambda p, x: p * x, lambda batch: (batch['x'],))
  source = sources.in_order({'x': np.arange(config.count)}, 10)
  metrics = lambda y, batch: {'sum': (y.sum(), 1)}
  return Task(lambda key: network.init(key, None), network.apply,
    network.predict, None, metrics, source, source, about={'data': 'own'})
""")
  jc.save(tmp_path / 'x.jcz', {'params': jnp.float32(2)})
  words = ['evaluate', str(tmp_path / 'x.jcz'), f'--config={path}']
  main.main(words)
  assert capsys.readouterr().out.startswith('sum 6 on own, from')
  main.main([*words, '--config.count=4'])
  assert capsys.readouterr().out.startswith('sum 12 on own')


def test_a_file_without_a_model_is_not_evaluated(tmp_path):
  jc.save(tmp_path / 'x.jcz', {'w': jnp.ones(3)}, metadata={'data': 'digits'})
  with pytest.raises(ValueError, match='does not say how to build its model'):
    main.main(['evaluate', str(tmp_path / 'x.jcz')])


def test_help_and_errors_of_the_command(tmp_path, capsys, monkeypatch):
  def run(*words):
    monkeypatch.setattr(sys, 'argv', ['jcompress', *words])
    main.run()
    return capsys.readouterr().out

  assert 'jcompress inspect FILE.jcz' in run('--help')
  assert run('--version') == f'jcompress {jc.__version__}\n'
  bad = tmp_path / 'bad.jcz'
  bad.write_bytes(b'not a file')
  words = [sys.executable, '-m', 'jcompress.main', 'inspect', str(bad)]
  told = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
  assert told.returncode == 1 and told.stderr.startswith('jcompress: Not a')
  assert 'Traceback' not in told.stderr
