"""rushhour with the settings that it has without any: neither this shell's variables nor a file of settings count."""

from __future__ import annotations

import os
from pathlib import Path

from rushhour.settings import PREFIX, Settings


def default_settings(data: Path) -> Settings:
    """Return the defaults, with `data` for the folder that all is kept in."""
    return Settings.model_construct(data_dir=data)  # what is constructed reads no environment


def without_settings() -> dict[str, str]:
    """Return this process's environment, for a child, less every setting; `rushhour.toml` is read where it runs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
