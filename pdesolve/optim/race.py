"""A race of two second-order methods: a slice for each from the same point, and the better one goes on."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from ..errors import PdesolveError
from .levenberg_marquardt import LevenbergMarquardt
from .optimiser import AbstractOptimiser
from .ssbroyden import SSBroyden

__all__ = ["Race"]


class RaceState(NamedTuple):
    """Where both methods are, and what they carry."""

    places: tuple[PyTree, PyTree]
    states: tuple[PyTree, PyTree]
    start: PyTree
    """Where the current race began."""
    second_leads: Bool[Array, ""]
    clock: Int[Array, ""]


class Race(AbstractOptimiser):
    """Levenberg-Marquardt and SSBroyden in turn, for as long as each is the better of the two.

    Smooth problems want the exact steps of the one, thin layers the many cheap steps of the other, and which it is
    cannot be said beforehand. Each gets a slice of the same cost from the same parameters; the one with the lower loss
    goes on for a while; then they race again. What is returned is the better of both at every moment. All of it is
    counted in steps, so that a run replays; the log says who leads (`racer`: 0 or 1).

    A step is one step of Levenberg-Marquardt, or as many of SSBroyden as cost the same.

    Args:
        slice: Steps of each in a race.
        hold: Steps of the winner before the next race.
        exchange: Steps of SSBroyden for one of Levenberg-Marquardt.
        factorisation: Of Levenberg-Marquardt.
        target_ratio: Of Levenberg-Marquardt.
    """

    slice: int = eqx.field(static=True, default=10)
    hold: int = eqx.field(static=True, default=60)
    exchange: int = eqx.field(static=True, default=8)
    factorisation: str = eqx.field(static=True, default="cholesky")
    target_ratio: float = 0.03

    def __check_init__(self):
        for name in ("slice", "hold", "exchange"):
            if getattr(self, name) < 1:
                raise PdesolveError(f"`{name}` must be at least 1, got {getattr(self, name)}.")

    def _racers(self) -> tuple[AbstractOptimiser, AbstractOptimiser]:
        first = LevenbergMarquardt(factorisation=self.factorisation, target_ratio=self.target_ratio)
        return first, SSBroyden()

    def check(self, objective):
        """What both accept."""
        for racer in self._racers():
            racer.check(objective)

    def init(self, evaluation, params):
        """Both at the start."""
        states = tuple(racer.init(evaluation, params) for racer in self._racers())
        return RaceState((params, params), states, params, jnp.asarray(False), jnp.asarray(0))  # type: ignore[arg-type]

    def step(self, evaluation, params, state):
        """One of them takes its step."""
        first, second = self._racers()
        time = state.clock % (2 * self.slice + self.hold)
        begins, hands_over, decided = time == 0, time == self.slice, time >= 2 * self.slice
        place, other = state.places
        lead, start = _where(begins, (params, params), (place, state.start))
        # The second one's gradient is that of where it stood last.
        fresh = jax.lax.cond(
            hands_over, lambda: second.refresh(evaluation, start, state.states[1]), lambda: state.states[1]
        )
        chaser = _where(hands_over, start, other)
        seconds_turn = jnp.where(decided, state.second_leads, time >= self.slice)

        def one():
            new, carried, metrics, _ = first.step(evaluation, lead, state.states[0])
            return (new, chaser), (carried, fresh), _common(metrics)

        def many():
            def body(_, carry):
                place, carried, _ = carry
                place, carried, metrics, _ = second.step(evaluation, place, carried)
                return place, carried, _common(metrics)

            shapes = jax.eval_shape(lambda: _common(second.step(evaluation, chaser, fresh)[2]))
            nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
            new, carried, metrics = jax.lax.fori_loop(0, self.exchange, body, (chaser, fresh, nothing))
            return (lead, new), (state.states[0], carried), metrics

        places, states, metrics = jax.lax.cond(seconds_turn, many, one)
        losses = [evaluation.loss(place)[0] for place in places]
        # Before the second has had its turn it stands where the last race left it.
        better = (losses[1] < losses[0]) & (decided | (time >= self.slice))
        leads = jnp.where(decided, state.second_leads, better)
        best = _where(leads, places[1], places[0])
        metrics = metrics | {"racer": leads.astype(int), "stalled": metrics["stalled"] & decided}
        return best, RaceState(places, states, start, leads, state.clock + 1), metrics, None

    def refresh(self, evaluation, params, state):
        """Each does what it does."""
        racers = zip(self._racers(), state.places, state.states, strict=True)
        return state._replace(
            states=tuple(racer.refresh(evaluation, place, carried) for racer, place, carried in racers)
        )


def _where(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _common(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what both report."""
    return {name: jnp.asarray(value) for name, value in metrics.items() if name.startswith("loss") or name in _SHARED}


_SHARED = ("gradient_norm", "stalled")
