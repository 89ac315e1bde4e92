"""Eight CPU devices, quick compilation, short property tests.

What is compiled is kept in `.pytest_cache`, for the processes of a run and for
the next one.
"""

import ctypes
import gc
import os
import pathlib

os.environ.setdefault(
  'JAX_COMPILATION_CACHE_DIR',
  str(pathlib.Path(__file__).parents[1] / '.pytest_cache/compiled'),
)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES', '-1')
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('JAX_TRACEBACK_IN_LOCATIONS_LIMIT', '0')

import hypothesis
import jax
import pytest

FLAGS = '--xla_force_host_platform_device_count=8'
if jax.__version_info__[:2] == (0, 10):
  # XLA's older emitters compile small programs in half the time. A flag that a
  # later XLA has dropped would end the process.
  FLAGS += ' --xla_cpu_use_fusion_emitters=false'
# Read when the first device is asked for.
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {FLAGS}'

# A run keeps millions of objects: looking for garbage among all of them took a
# tenth of its time.
gc.freeze()
gc.set_threshold(100_000, 50, 100)
jax.config.update('jax_disable_most_optimizations', True)
if os.environ['JAX_PLATFORMS'] != 'cpu':
  # What tests compare with are float32 products, not TensorFloat-32.
  jax.config.update('jax_default_matmul_precision', 'highest')
hypothesis.settings.register_profile(
  'short', max_examples=30, deadline=None, derandomize=True
)
hypothesis.settings.load_profile('short')


def pytest_collection_finish():
  """What all files have imported stays, too."""
  gc.collect()
  gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
  """Forgets what was compiled where a file ends, or where it is too much.

  It is of no use to the next file, and gigabytes a process.
  """
  is_last = nextitem is None or nextitem.path != item.path
  if is_last or resident() > LIMIT['bytes']:
    jax.clear_caches()
    gc.collect()
    release()
    # What stays is not to be looked for after each test.
    LIMIT['bytes'] = max(2e9, resident() + 5e8)


LIMIT = {'bytes': 2e9}


def resident():
  """Bytes of memory that this process holds."""
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  return pages * os.sysconf('SC_PAGE_SIZE')


def release():
  """Gives freed memory back to the system, where that is glibc's to do."""
  trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
  if trim is not None:
    trim(0)
