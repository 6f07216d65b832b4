"""What can be wrong with a simulator before it serves its first call."""

from __future__ import annotations


class SimulatorError(Exception):
    """The simulator cannot start; the message names the cause and the remedy."""


class ProfileError(SimulatorError):
    """A profile is missing, not TOML, or holds a value that cannot be."""
