"""Damaged files with right checksums: `python tests/benchmarks/fuzz.py 600`.

Each input is a small file of one leaf, changed a little and signed again. It
must be read, or refused by a `ValueError`, within a second of work and a
gigabyte, without a warning of NumPy. Some of those that are read are decoded
too, which compiles programs and may take ten seconds.

Counts by leaf go to `fuzz.json`, and inputs that did anything else to
`fuzz_found/`, in the folder in which this runs, as they come. Runs in one
folder add up: each goes on with the seeds after those before, until there are
`--inputs` of them; `--seed` keeps folders apart that run side by side. The work
is done in a child, so that not even a crash of the interpreter ends the run.
"""

import argparse
import collections
import contextlib
import gc
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time
import warnings

sys.path[0] = str(pathlib.Path(__file__).parents[1])

import every_leaf  # noqa: E402
import msgpack  # noqa: E402
import signed_files  # noqa: E402

SECONDS, COMPILING, MEMORY = 1.0, 10.0, 1 << 30
EACH, CLEARED = 50_000, 10_000  # inputs of a child, until caches are cleared
CODERS = 'auto', 'raw', 'huffman', 'zstd', 'ans', 'context', 'fast'
NUMBERS = 0, 1, 2, 127, 128, 255, 2**16, 2**20, 2**31 - 1, 2**32, 2**62 - 1
DECODED = 0.02  # of what is read: a shape that is new is compiled
NOW, COUNTS = pathlib.Path('fuzz_input.bin'), pathlib.Path('fuzz.json')


class TooLongError(BaseException):
  """An input took more than its time."""


def sources():
  """Files of one leaf each, by the leaf's name: `(header, record, rest)`."""
  from jcompress.code import container

  found = collections.defaultdict(list)
  for name, leaf in every_leaf.leaves().items():
    for data in {container.pack({'w': leaf}, coder=c) for c in CODERS}:
      head, body = signed_files.parts(data)
      size = head[2][0][1]
      found[name].append((head, body[:size], body[size:]))
  first = every_leaf.leaves()['Codebook']
  codes = first.codes[:5]
  two = container.pack({'a': first, 'b': type(first)(first.centers, codes)})
  head, body = signed_files.parts(two)
  found['Codebook_shared'].append((head, body, b''))
  return dict(found)


def changed(rng, record, others):
  """A record with some bytes changed, and what was done."""
  data = bytearray(record)
  kind = rng.choice(['bits', 'bytes', 'number', 'splice', 'cut', 'grow'])
  for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
    i = rng.randrange(len(data) + 1)
    at = i if i < len(data) else 0
    if rng.random() < 0.4:  # heads decide more than streams
      at = rng.randrange(min(len(data), 24)) if data else 0
    if kind == 'bits' and data:
      data[at] ^= 1 << rng.randrange(8)
    elif kind == 'bytes' and data:
      data[at] = rng.randrange(256)
    elif kind == 'number':
      from jcompress.code import wire

      near = (data[at] if data else 0) + rng.choice([-1, 1])
      value = rng.choice([*NUMBERS, max(0, near)])
      data[at : at + rng.randrange(3)] = wire.varint(value)
    elif kind == 'splice':
      other = rng.choice(others)
      j = rng.randrange(len(other) + 1)
      part = other[j : j + rng.randrange(1, 40)]
      data[i : i + rng.randrange(40)] = part
    elif kind == 'cut':
      del data[at : at + rng.randrange(1, 1 + max(1, len(data) // 2))]
    else:
      data[at:at] = bytes([rng.choice([0, 255, 128])]) * rng.randrange(1, 30)
  return bytes(data), kind


def inputs(rng, found):
  """Names, what was done, and files, without end."""
  names = list(found)
  others = [record for files in found.values() for _, record, _ in files]
  while True:
    name = rng.choice(names)
    head, record, rest = rng.choice(found[name])
    head = msgpack.unpackb(msgpack.packb(head), strict_map_key=False)
    kind = 'header'
    if len(head[2]) > 1:
      record, kind = changed(rng, record, others)
      record = record[: sum(x[1] for x in head[2])]
    elif rng.random() < 0.9:
      record, kind = changed(rng, record, others)
      head[2][0][1] = len(record)
      if rng.random() < 0.1:
        head[2][0][2] = 2 ** rng.randrange(20)
      if rng.random() < 0.1:
        head[1][0] = rng.choice(names).partition('_')[0]
    if kind == 'header':
      path = rng.choice(list(signed_files.places(head)))
      head = signed_files.put(head, path, rng.choice(signed_files.ODD))
    with contextlib.suppress(TypeError, OverflowError, ValueError):
      yield name, kind, signed_files.signed(head, record + rest)


def read(data, rng):
  """Reads a file: what came of it."""
  from jcompress import encoded
  from jcompress.code import archive

  try:
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    tree = archive.unpack(data).tree
    if rng.random() < DECODED:
      signal.setitimer(signal.ITIMER_VIRTUAL, COMPILING)
      encoded.decode(tree)
    return 'read'
  except ValueError:
    return 'refused'
  except TooLongError:
    return 'slow'
  except BaseException as e:  # noqa: BLE001
    return type(e).__name__
  finally:
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def child(seed):
  """Tries `EACH` inputs and prints what came of each."""
  import jax

  rng = random.Random(seed)
  warnings.simplefilter('error', RuntimeWarning)

  def stop(*_):
    raise TooLongError

  signal.signal(signal.SIGVTALRM, stop)
  found = sources()
  for name, files in found.items():  # what is compiled is not counted
    head, record, rest = files[0]
    with contextlib.suppress(TooLongError):
      result = read(signed_files.signed(head, record + rest), rng)
      assert result in ('read', 'slow'), (name, result)
  used = int(pathlib.Path('/proc/self/statm').read_text().split()[0])
  limit = used * os.sysconf('SC_PAGE_SIZE') + MEMORY
  resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

  now = os.open(NOW, os.O_WRONLY | os.O_CREAT)
  gc.collect()
  gc.freeze()  # what is there is not looked through again and again
  for i, (name, kind, data) in enumerate(inputs(rng, found)):
    if i == EACH:
      break
    if i % CLEARED == CLEARED - 1:
      jax.clear_caches()
    os.pwrite(now, len(data).to_bytes(8, 'little') + data, 0)
    # Should the alarm not be heard, the limit on all work ends the child.
    spent = int(time.process_time()) + 20
    resource.setrlimit(resource.RLIMIT_CPU, (spent, resource.RLIM_INFINITY))
    try:
      result = read(data, rng)
    except TooLongError:
      result = 'slow'
    print(name, kind, result, flush=True)
    if result not in ('read', 'refused'):
      keep(name, result, data)


def keep(name, result, data):
  """Writes an input that did what none may."""
  folder = pathlib.Path('fuzz_found')
  folder.mkdir(exist_ok=True)
  (folder / f'{name}-{result}-{abs(hash(data))}.jcz').write_bytes(data)


def main(seconds, most, seed):
  """Starts children until the time is over, or there are enough inputs."""
  counts = collections.defaultdict(collections.Counter)
  if COUNTS.exists():
    for name, of in json.loads(COUNTS.read_text()).items():
      counts[name].update(of)
  start, before = time.time(), sum(counts['by change'].values())
  done, going = 0, before < most
  seed = counts['seeds']['next'] if seed is None else seed
  environment = {**os.environ, 'JAX_TRACEBACK_FILTERING': 'off'}
  while going:
    process = subprocess.Popen(
      [sys.executable, __file__, '--child', str(seed)],
      env=environment,
      stdout=subprocess.PIPE,
      text=True,
    )
    seed += 1
    counts['seeds']['next'] = seed
    for line in process.stdout:
      name, kind, result = line.split()
      counts[name][result] += 1
      counts['of all'][result] += 1
      counts['by change'][kind] += 1
      done += 1
      if done % 500 == 0:
        COUNTS.write_text(json.dumps(counts, indent=1))
        if time.time() > start + seconds or before + done >= most:
          process.terminate()
          going = False
    code = process.wait()
    if code not in (0, -signal.SIGTERM):
      counts['of all'][f'exit {code}'] += 1
      if NOW.exists():
        data = NOW.read_bytes()
        data = data[8 : 8 + int.from_bytes(data[:8], 'little')]
        keep('unknown', f'exit{code}', data)
    going = going and time.time() < start + seconds
  COUNTS.write_text(json.dumps(counts, indent=1))
  for name, of in sorted(counts.items()):
    print(f'{name:24}', *(f'{k} {n:,}' for k, n in sorted(of.items())))
  print(f'{time.time() - start:.0f} seconds, {done:,} inputs')


if __name__ == '__main__':
  if sys.argv[1] == '--child':
    child(int(sys.argv[2]))
  else:
    parser = argparse.ArgumentParser()
    parser.add_argument('seconds', type=float)
    parser.add_argument('--inputs', type=int, default=1_000_000)
    parser.add_argument('--seed', type=int)
    main(*vars(parser.parse_args()).values())
