"""Eight CPU devices, quick compilation, short property tests."""

import os

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = (
  os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
)

import hypothesis
import jax

jax.config.update('jax_disable_most_optimizations', True)
hypothesis.settings.register_profile(
  'short', max_examples=30, deadline=None, derandomize=True
)
hypothesis.settings.load_profile('short')
