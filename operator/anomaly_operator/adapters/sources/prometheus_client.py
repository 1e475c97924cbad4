"""Asking a Prometheus API: spans in chunks the server accepts, several at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import httpx

from anomaly_operator.adapters.sources.http_access import Connection, is_tls_failure
from anomaly_operator.adapters.sources.prometheus_answers import (
    Answer,
    TooLarge,
    answer_of,
    shortened,
)
from anomaly_operator.errors import SourceUnavailable

MAX_STEPS = 10_000  # the server refuses more than 11 000 points a series
FIRST_STEPS = 10  # how many series there are is not known yet: 100 000 fill an answer with them
GROWTH, CAREFUL_GROWTH = 8, 2  # at most from chunk to chunk, and where a server has refused one
WANTED_SAMPLES = 1_000_000  # about 25 MB of JSON, a second of parsing
PARALLEL = 3  # of the 20 that a server runs at once by default; others ask too


class PrometheusClient:
    """Range and instant queries with one server.

    A span is cut into chunks; how many steps a chunk has follows the number of series seen, and is
    halved where the server says that it was too much or ran out of time. Answers are parsed one at
    a time: Python does no more at once, and parsed JSON is ten times the size of what it tells.
    """

    def __init__(self, url: str, connection: Connection) -> None:
        self._url = url.rstrip("/")
        self._connection = connection
        self._steps = FIRST_STEPS
        self._growth = GROWTH
        self._lock = Lock()
        self._parsing = Lock()
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="query")

    @property
    def place(self) -> str:
        """Name of the server in messages."""
        return self._connection.place

    def instant(self, query: str, at_s: float) -> Answer:
        """Evaluate a query at one time."""
        return self._ask("query", {"query": query, "time": f"{at_s:.3f}"})

    def range(self, query: str, *, first_s: float, count: int, step_s: float) -> Iterator[Answer]:
        """Evaluate a query at ``count`` times from ``first_s`` on, ``step_s`` apart.

        Who takes the samples of each answer and forgets it holds three at most.
        """
        done = 0
        while done < count:
            wave = []
            for _ in range(PARALLEL if done else 1):  # the first tells how many series there are
                steps = min(self._steps, count - done)
                if steps <= 0:
                    break
                wave.append((first_s + done * step_s, steps))
                done += steps
            waiting = [
                self._pool.submit(self._chunk, query, start_s, steps=steps, step_s=step_s)
                for start_s, steps in wave
            ]
            while waiting:
                yield from waiting.pop(0).result()

    def close(self) -> None:
        """Release connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._connection.close()

    def _chunk(self, query: str, start_s: float, *, steps: int, step_s: float) -> list[Answer]:
        parameters = {
            "query": query,
            "start": f"{start_s:.3f}",
            "end": f"{start_s + (steps - 1) * step_s:.3f}",
            "step": f"{step_s:g}",
        }
        try:
            answer = self._ask("query_range", parameters)
        except TooLarge:
            if steps == 1:
                raise
            half = steps // 2
            with self._lock:
                self._steps = max(1, min(self._steps, half))
                self._growth = CAREFUL_GROWTH
            return [
                *self._chunk(query, start_s, steps=half, step_s=step_s),
                *self._chunk(query, start_s + half * step_s, steps=steps - half, step_s=step_s),
            ]
        self._learn(answer, steps)
        return [answer]

    def _learn(self, answer: Answer, steps: int) -> None:
        """Choose the next chunks' size; it grows step by step, as what is refused may be near."""
        fitting = math.floor(WANTED_SAMPLES / max(1, len(answer.rows)))
        with self._lock:
            self._steps = max(1, min(MAX_STEPS, fitting, self._growth * max(steps, self._steps)))

    def _ask(self, endpoint: str, parameters: Mapping[str, str]) -> Answer:
        query = parameters["query"]
        try:
            with self._lock:
                client = self._connection.client()
            response = client.post(
                f"{self._url}/api/v1/{endpoint}",
                data=dict(parameters),
                extensions=self._connection.extensions(),
            )
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise SourceUnavailable(f"{self.place}: no connection: {_words(error)}") from error
        except httpx.TimeoutException as error:
            message = f"{self.place}: no answer in time for {shortened(query)}"
            raise TooLarge(message, reason="Timeout") from error
        except httpx.RequestError as error:
            tls = is_tls_failure(error)
            raise SourceUnavailable(
                f"{self.place}: {'certificate refused' if tls else 'no connection'}: "
                f"{_words(error)}",
                reason="TLS" if tls else "SourceUnavailable",
            ) from error
        with self._parsing:
            return answer_of(response, place=self.place, query=query)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
