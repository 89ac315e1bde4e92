"""Eight CPU devices, quick compilation, short property tests.

What is compiled is kept in `.pytest_cache`, for the processes of a run and for
the next one.
"""

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


@pytest.fixture(autouse=True, scope='module')
def _forget_compiled_programs():
  """What one file compiled is of no use to the next: gigabytes a process."""
  yield
  jax.clear_caches()
