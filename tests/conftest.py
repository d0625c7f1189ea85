"""Every test runs in float64, with strict promotion of ranks."""

import atexit
import shutil
import tempfile

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tests write the same programs again and again, and modules forget theirs: kept on disk they are compiled once. Each
# process has a directory of its own, as JAX does not lock it; it must be known before anything is compiled.
_PROGRAMS = tempfile.mkdtemp(prefix="pdesolve-tests-")
atexit.register(shutil.rmtree, _PROGRAMS, ignore_errors=True)
jax.config.update("jax_compilation_cache_dir", _PROGRAMS)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_of_one_module():
    """Forget compiled programs after each module: some thousands in one process exhaust what the system lets it map."""
    yield
    jax.clear_caches()


@pytest.fixture
def key(request):
    """A key that depends on the test's name alone, so that a failure reproduces."""
    seed = sum(map(ord, request.node.name)) % 2**31
    request.node.user_properties.append(("seed", seed))
    return jax.random.key(seed)
