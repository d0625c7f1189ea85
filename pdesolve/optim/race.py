"""A race of two second-order methods: a slice for each from the same point, and the better one goes on."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from ..errors import PdesolveError
from .levenberg_marquardt import LevenbergMarquardt
from .optimiser import AbstractOptimiser, loss_metrics
from .ssbroyden import SSBroyden

__all__ = ["Race"]


class RaceState(NamedTuple):
    """Where both methods are, and what they carry."""

    places: tuple[PyTree, PyTree]
    states: tuple[PyTree, PyTree]
    start: PyTree
    """Where the current race began."""
    second_leads: Bool[Array, ""]
    stalls: Bool[Array, "2"]
    """Whether each has stalled since the race began."""
    clock: Int[Array, ""]


class Race(AbstractOptimiser):
    """Levenberg-Marquardt and SSBroyden in turn, for as long as each is the better of the two.

    Smooth problems want the exact steps of the one, thin layers the many cheap steps of the other, and which it is
    cannot be said beforehand. Each gets a slice from the same parameters; the one with the lower loss goes on for a
    while, or until it stalls; then they race again. What is returned is the better of both at every moment. All of it
    is counted in steps, so that a run replays; the log says who leads (`racer`: 0 or 1).

    A step is one step of Levenberg-Marquardt, or a fixed number of those of SSBroyden, which cost less.

    Args:
        slice: Steps of each in a race.
        hold: Steps of the winner before the next race.
        exchange: Steps of SSBroyden for one of Levenberg-Marquardt; more parameters and points want more.
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
        no = jnp.asarray(False)
        return RaceState((params, params), states, params, no, jnp.zeros(2, bool), jnp.asarray(0))  # type: ignore[arg-type]

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
        turn = seconds_turn.astype(int)
        stalls = jnp.where(begins, False, state.stalls).at[turn].set(metrics["stalled"])
        losses = [evaluation.loss(place)[0] for place in places]
        # Before the second has had its turn it stands where the last race left it.
        better = (losses[1] < losses[0]) & (decided | (time >= self.slice))
        leads = jnp.where(decided, state.second_leads, better)
        best = _where(leads, places[1], places[0])
        loss, (terms, _) = evaluation.loss(params)
        metrics = metrics | loss_metrics(loss, terms)
        metrics |= {"racer": leads.astype(int), "stalled": jnp.all(stalls) & (time >= self.slice)}
        # A leader that has stalled is raced at once.
        cycle = 2 * self.slice + self.hold
        clock = jnp.where(decided & stalls[turn], (state.clock // cycle + 1) * cycle, state.clock + 1)
        return best, RaceState(places, states, start, leads, stalls, clock), metrics, None

    def refresh(self, evaluation, params, state):
        """Each does what it does."""
        racers = zip(self._racers(), state.places, state.states, strict=True)
        return state._replace(
            states=tuple(racer.refresh(evaluation, place, carried) for racer, place, carried in racers)
        )


def _where(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _common(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what both report, but for the losses."""
    return {name: jnp.asarray(metrics[name]) for name in ("gradient_norm", "stalled")}
