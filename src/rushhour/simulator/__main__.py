"""`python -m rushhour.simulator`: the simulated providers without the rest of the product."""

from __future__ import annotations

import argparse
import sys

from rushhour.simulator.command import Options, run
from rushhour.simulator.profiles import shipped


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
    parser.add_argument("--json", action="store_true", help="print one machine-readable line when ready")
    given = parser.parse_args()
    return run(Options(given.host, given.port, given.profile, given.seed, given.set, given.json))


if __name__ == "__main__":
    sys.exit(main())
