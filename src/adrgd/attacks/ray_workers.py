"""Batches on Ray workers, on this machine or on a cluster, with the results of one process.

An image's random numbers depend on its place in the data set, so it does not matter who works on its batch, or when.
Ray replaces a worker that dies and tries its batch again.
"""

from __future__ import annotations

import copy
import logging
import os
import signal
import socket
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import torch
from torch import nn

from adrgd.attacks.batches import Batch
from adrgd.attacks.evaluate import Attack, attack_batch
from adrgd.attacks.smallest.minimum import Minimum, smallest_changes
from adrgd.errors import AdrgdError, ModelError, UsageError, optional
from adrgd.models import load_model

RETRIES = 3  # of a batch whose worker died


@dataclass(frozen=True, kw_only=True)
class RayWorkers:
    """Attacks batches on Ray workers; give it to `run_attack` as `workers`.

    A session that the caller has begun with `ray.init` is used and left as it is. Otherwise one is begun and ended.

    Attributes:
        address: "local" for all processors of this machine, or a running cluster's: "auto", "HOST:6379",
            "ray://HOST:10001".
        threads: processor threads of each worker. Sums are split by threads, so the same bits as in one process need
            the same number there.
        device: "cpu", or "cuda" for one GPU a worker.
        spec: where each worker loads the network from if it cannot be sent to it, as those of torch.export and of
            TorchScript cannot.
        trust: load it even where that can run code of its maker's, as `load_model` says.
    """

    address: str = "local"
    threads: int = 1
    device: str = "cpu"
    spec: str | None = None
    trust: bool = False

    def __call__(
        self, model: nn.Module, asked: Attack | Minimum, batches: Sequence[Batch]
    ) -> Generator[tuple[Batch, Any]]:
        """Yield each batch with its result, in the order in which they are finished.

        Raises:
            UsageError: the cluster cannot be reached, or has no machine for such workers.
            ModelError: the network can be neither sent nor loaded.
            AdrgdError: a batch's workers died again and again, or whatever `attack_batch` raises.
        """
        ray = optional("ray", extra="ray")
        if not batches:
            return
        with _session(ray, self.address):
            gpus = int(self.device.startswith("cuda"))
            width = self._width(ray, gpus)
            sent = [self._send(ray, model)]  # in a list, so that a worker unpacks the network once, not at every batch
            device = "cuda" if gpus else self.device  # a worker sees no other GPU than its own
            task = ray.remote(num_cpus=self.threads, num_gpus=gpus, max_retries=RETRIES)(_work)
            waiting, running = iter(batches), dict[Any, Batch]()
            try:
                while True:
                    for batch in islice(waiting, width - len(running)):
                        running[task.remote(sent, asked, _alone(batch), self.threads, device)] = batch
                    if not running:
                        return
                    (done, *_), _ = ray.wait(list(running))
                    batch = running.pop(done)
                    yield batch, _result(ray, done, batch)
            finally:
                for unfinished in running:
                    ray.cancel(unfinished)

    @contextmanager
    def session(self) -> Iterator[None]:
        """One session for several calls, where the caller has none."""
        with _session(optional("ray", extra="ray"), self.address):
            yield

    def _width(self, ray: Any, gpus: int) -> int:
        """How many batches to hand out at a time: two for each worker that there is room for."""
        rooms = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        each = {"CPU": self.threads, "GPU": gpus} if gpus else {"CPU": self.threads}
        room = sum(min(int(one.get(name, 0)) // count for name, count in each.items()) for one in rooms)
        if not room:
            wanted = f"{self.threads} processor thread(s)" + (" and a GPU" if gpus else "")
            raise UsageError(
                f"expected a machine with {wanted} for a Ray worker, found none in {self.address!r}; ask for fewer"
            )
        return 2 * room

    def _send(self, ray: Any, model: nn.Module) -> Any:
        try:
            return ray.put(model if self.device == "cpu" else copy.deepcopy(model).cpu())
        except Exception as error:  # pickle, and what it calls, raise errors of many kinds
            if self.spec is None:
                raise ModelError(
                    f"this network cannot be sent to Ray workers ({type(error).__name__}); expected one that can be "
                    "pickled, or the spec to load it from: RayWorkers(spec=...)"
                ) from error
            return ray.put((self.spec, self.trust))


def _alone(batch: Batch) -> Batch:
    """A copy that shares no memory: a view would be sent together with all that it is a view of."""
    return Batch(batch.start, batch.images.clone(), batch.labels.clone(), batch.index.clone())


@dataclass(frozen=True)
class _Failure:
    """An error of ours, to be raised again; one that carries more than its message does not survive the journey."""

    kind: type[AdrgdError]
    message: str


def _work(sent: list[Any], asked: Attack | Minimum, batch: Batch, threads: int, device: str) -> Any:
    """What a worker does."""
    torch.set_num_threads(threads)
    try:
        model = _network(sent[0], device, tuple(batch.images.shape[1:]))
        images, labels = batch.images.to(device), batch.labels.to(device)
        run: Any = smallest_changes if isinstance(asked, Minimum) else attack_batch
        result = run(model, images, labels, asked, index=batch.index, check=False)
    except AdrgdError as error:
        plain = next(kind for kind in type(error).__mro__ if kind.__module__ == AdrgdError.__module__)
        return _Failure(plain, str(error))
    return result.to("cpu")


@lru_cache(maxsize=1)
def _network(sent: Any, device: str, images: tuple[int, ...]) -> nn.Module:
    found = optional("ray", extra="ray").get(sent)
    spec = isinstance(found, tuple)
    network: nn.Module = load_model(found[0], trust=found[1], images=images).module if spec else found
    return network.to(device)


def _result(ray: Any, done: Any, batch: Batch) -> Any:
    where = f"the batch of {len(batch)} images that begins with image {int(batch.index[0])}"
    try:
        result = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        reason = f"{type(error.cause).__name__}: {str(error.cause).strip().partition(chr(10))[0]}"
        raise AdrgdError(f"a Ray worker failed at {where} ({reason}); finished batches are kept") from error
    except ray.exceptions.RayError as error:
        raise AdrgdError(
            f"{RETRIES + 1} Ray worker(s) died at {where} ({type(error).__name__}), as when memory runs out; finished "
            "batches are kept: go on with fewer workers on a machine, e.g. by more threads for each"
        ) from error
    if isinstance(result, _Failure):
        raise result.kind(result.message)
    return result


def _knock(address: str) -> None:
    """Meet a wrong address at once: Ray itself would go on trying for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself when a session begins; what this program does about it stays."""
    here = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    yield
    if here and before is not None:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _session(ray: Any, address: str) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a session of our own reports to nobody
        settings["include_dashboard"] = False
    try:
        _knock(address)
        with _own_signals():
            ray.init(**settings)
    except Exception as error:  # among them plain ones, as when this machine is too busy to start it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"cannot reach Ray at {address!r} ({reason}); expected local, or the address of a running cluster such as "
            "auto, HOST:6379 or ray://HOST:10001"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
