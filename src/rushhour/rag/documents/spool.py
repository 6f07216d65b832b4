"""Standard input, kept until nobody needs it any more: it cannot be read twice, and a job may be resumed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Final

from rushhour.clock import unix_now
from rushhour.errors import SettingsError
from rushhour.rag.parse import MAX_BYTES

_PART: Final = 2**20
FORGOTTEN_S: Final = 86_400
"""How old a file has to be to be forgotten that no job names: its job may just be about to be recorded."""


class Spool:
    """A folder of contents, each named by its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Return where a content is."""
        return self._folder / digest

    async def keep(self, stream: BinaryIO) -> str:
        """Copy a stream, as far as it would be read; return its digest. Raises SettingsError if that fails."""
        try:
            return await asyncio.to_thread(self._copy, stream)
        except OSError as cause:
            raise SettingsError(
                f"Standard input cannot be kept in {self._folder} ({cause.strerror or cause}); set RUSHHOUR_DATA_DIR "
                "to a folder that rushhour can write to, with room in it."
            ) from cause

    async def clear(self, needed: Collection[str], done: str = "") -> None:
        """Forget what a job was `done` with, and what nobody has named for a day, unless it is `needed`."""
        await asyncio.to_thread(self._clear, needed, done)

    def _copy(self, stream: BinaryIO) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        digest, left = sha256(), MAX_BYTES + 1
        with NamedTemporaryFile(dir=self._folder, prefix="incoming-", delete=False) as file:
            part = Path(file.name)
            try:
                while left and (some := stream.read(min(_PART, left))):
                    digest.update(some)
                    file.write(some)
                    left -= len(some)
                file.close()
                part.replace(self.path(digest.hexdigest()))
            finally:
                part.unlink(missing_ok=True)
        return digest.hexdigest()

    def _clear(self, needed: Collection[str], done: str) -> None:
        for file in self._folder.glob("*") if self._folder.is_dir() else ():
            if file.name not in needed:
                with contextlib.suppress(FileNotFoundError):  # another process was faster
                    if file.name == done or file.stat().st_mtime < unix_now() - FORGOTTEN_S:
                        file.unlink()
