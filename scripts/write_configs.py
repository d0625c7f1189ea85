"""Write `configs/NAME.toml` for every registered problem, from its recipe: `python scripts/write_configs.py`."""

from pathlib import Path

from pdesolve import registry
from pdesolve.cli._restate import restate

CONFIGS = Path(__file__).parents[1] / "configs"


def main() -> None:
    """Write one file for each problem."""
    for name in registry.names("problems"):
        problem = registry.load("problems", name)()
        (CONFIGS / f"{name}.toml").write_text(restate(name, problem, problem.recipe()), encoding="utf-8")


if __name__ == "__main__":
    main()
