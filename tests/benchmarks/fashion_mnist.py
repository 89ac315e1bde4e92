"""The README's table: Deep Compression of both LeNets on all of Fashion-MNIST.

    python tests/benchmarks/fashion_mnist.py --workdir runs/fashion

Needs the four IDX files (Debian's `dataset-fashion-mnist`, or `--data_dir`).
Runs three seeds of both configs, about half an hour on two CPU cores; goes on
where it was cut off; prints the table of all runs and their means at the end.
"""

import argparse
import json
import pathlib

import numpy as np

from jcompress import main as command

ROOT = pathlib.Path(__file__).parents[2]
MODELS = ('lenet_300_100', 'lenet5')
SEEDS = (0, 1, 2)
NAMES = ('dense_error', 'prune_error', 'share_error', 'decoded_error')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--data_dir', default='')
  parser.add_argument('--model', choices=MODELS, action='append')
  arguments = parser.parse_args()
  lines = []
  for model in arguments.model or MODELS:
    results = []
    for seed in SEEDS:
      workdir = arguments.workdir / f'{model}_{seed}'
      command.main(
        [
          'train',
          f'--config={ROOT}/configs/deep_compression_{model}.py',
          f'--workdir={workdir}',
          '--config.data=fashion_mnist',
          f'--config.data_dir={arguments.data_dir}',
          f'--config.seed={seed}',
        ]
      )
      results.append(json.loads((workdir / 'result.json').read_text()))
      lines.append(line(f'{model}, seed {seed}', results[-1:]))
    lines.append(line(f'{model}, mean', results))
  print(
    f'{"test error, %":24s}' + '  dense pruned shared decoded   bytes  ratio'
  )
  print('\n'.join(lines))


def line(label, results):
  mean = lambda name: np.mean([r[name] for r in results])
  errors = '  '.join(f'{mean(name):5.2f}' for name in NAMES)
  size, ratio = mean('file_bytes'), mean('ratio')
  return f'{label:24s}  {errors}  {size:8,.0f}  {ratio:5.1f}'


if __name__ == '__main__':
  main()
