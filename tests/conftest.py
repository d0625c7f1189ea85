"""Every test runs in float64, with strict promotion of ranks."""

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key(request):
    """A key that depends on the test's name alone, so that a failure reproduces."""
    seed = sum(map(ord, request.node.name)) % 2**31
    request.node.user_properties.append(("seed", seed))
    return jax.random.key(seed)
