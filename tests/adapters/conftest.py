"""Real places to store things in: an S3-compatible server, a PostgreSQL, stores of results."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from anomaly_operator.adapters.results_store import ResultsStore
from tests.support import debian_packages
from tests.support.databases import fresh_database
from tests.support.processes import eventually, free_port, unprivileged_user

POSTGRES = "postgresql-15"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of a moto server with an empty S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL from Debian's package, with an empty database."""
    initdb = debian_packages.program(POSTGRES, "initdb")
    environment = debian_packages.environment(POSTGRES)
    folder = tmp_path_factory.mktemp("postgres")
    user = unprivileged_user()
    as_user: dict[str, str] = {}
    if user is not None:
        subprocess.run(["chown", "-R", user, folder], check=True)
        for parent in folder.parents:
            if parent == Path("/tmp"):
                break
            with suppress(PermissionError):
                parent.chmod(0o755)
        as_user = {"user": user}
    port = free_port()
    data = folder / "data"
    subprocess.run(
        [initdb, "-D", data, "-U", "anomaly", "--auth=trust", "--no-sync", "-E", "UTF8"],
        check=True,
        env=environment,
        capture_output=True,
        **as_user,
    )
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            initdb.with_name("postgres"),
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            str(folder),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        **as_user,
    )
    url = f"postgresql://anomaly@127.0.0.1:{port}/postgres"
    try:
        eventually(lambda: _answers(url), what=f"PostgreSQL answers: {folder / 'log'}")
        yield url
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.e2e)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResultsStore]:
    """An empty store of results, in a file or in a PostgreSQL."""
    url = str(tmp_path / "results.db")
    if request.param == "postgresql":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    made = ResultsStore(url, job_id="shop/memory", shard=0, now_s=lambda: 5000.0)
    yield made
    made.close()


def _answers(url: str) -> bool:
    import psycopg  # noqa: PLC0415 - only where PostgreSQL is there

    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
