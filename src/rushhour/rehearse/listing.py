"""The shipped scenarios as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from rushhour.rehearse.floor import Floor
from rushhour.rehearse.plan import floor_for
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.scenario_file import find_scenario, shipped


def print_scenarios(console: Console) -> None:
    """Print every shipped scenario: who comes, what the provider admits, and the floor."""
    table = Table(title="Scenarios of `rushhour rehearse --scenario NAME`", title_justify="left", title_style="bold")
    for column in ("scenario", "users", "floor", "what happens"):
        table.add_column(column, justify="right" if column in ("users", "floor") else "left")
    for name in shipped():
        scenario = find_scenario(name)
        floor = floor_for(scenario)
        table.add_row(name, _users(scenario), _told(floor), scenario.description)
    console.print(table)
    console.print("A scenario of your own is a TOML file: rushhour rehearse --scenario my-monday.toml", highlight=False)


def _users(scenario: Scenario) -> str:
    when = "at once" if scenario.arrivals == "burst" else f"in {scenario.over_s:g} s"
    return f"{scenario.users:,} {when}"


def _told(floor: Floor) -> str:
    return f"{floor.seconds:.3g} s ({floor.bound})"
