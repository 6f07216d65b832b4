"""`python -m rushhour.simulator`: the simulated providers without the rest of the product."""

from __future__ import annotations

import argparse
import sys

from rushhour.simulator.command import Options, run, show_list
from rushhour.simulator.profile_files import shipped


def main() -> int:
    """Read the command line and serve; return the exit status."""
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m rushhour.simulator", description=__doc__)
    parser.add_argument("--host", default=default.host, help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=default.port, help="0 takes any free one (default %(default)s)")
    names = ", ".join(shipped())
    parser.add_argument("--profile", default=default.profile, help=f"{names}, or a TOML file (default %(default)s)")
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same luck (default %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, as chat.rpm=500")
    parser.add_argument("--faults", action="append", default=[], metavar="NAME", help="a fault file; repeatable")
    parser.add_argument("--list", action="store_true", help="show the shipped profiles, fault files and faults")
    parser.add_argument("--json", action="store_true", help="print one machine-readable line when ready")
    given = parser.parse_args()
    if given.list:
        show_list()
        return 0
    return run(Options(given.host, given.port, given.profile, given.seed, given.set, given.json, given.faults))


if __name__ == "__main__":
    sys.exit(main())
