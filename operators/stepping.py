"""Operators that advance in time: the same functions as in `pdesolve.stepping`, where training uses them."""

from pdesolve.stepping import feed_back, pushforward, rollout

__all__ = ["feed_back", "pushforward", "rollout"]
