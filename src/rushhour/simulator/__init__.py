"""Simulated providers: OpenAI-shaped embeddings and chat, and a Pinecone-shaped vector store, on one local port.

They limit, delay, fail and charge as the real ones do, deterministically by seed, and keep a ledger of what each
client did. The package imports nothing of the product: else both would share one misunderstanding.
"""

from __future__ import annotations

from rushhour.simulator.errors import ProfileError, SimulatorError
from rushhour.simulator.profile_files import load_profile, shipped, shipped_faults
from rushhour.simulator.profiles import Profile, build_profile
from rushhour.simulator.server import Simulator

__all__ = [
    "Profile",
    "ProfileError",
    "Simulator",
    "SimulatorError",
    "build_profile",
    "load_profile",
    "shipped",
    "shipped_faults",
]
