"""Fixtures that give a test an empty store on each back-end, PostgreSQL on a server of its own."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from engine.store.database import Store, sqlite_url

_USER = "paddock"
_TEMPLATE = "paddock_template"
_numbers = itertools.count(1)


def postgres_program(name: str) -> str | None:
    """Return the path of a PostgreSQL program, None when it is not installed."""
    found = shutil.which(name)
    if found:
        return found
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(installed[-1]) if installed else None


class PostgresServer:
    """A PostgreSQL server on a free loopback port with its data in a temporary folder."""

    password = "colt"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="paddock-pg-"))
        self.port = _free_port()
        self._owner = _unprivileged_user() if os.getuid() == 0 else None
        if self._owner:
            shutil.chown(self.folder, self._owner)

    def start(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password)
        password.chmod(0o644)
        self._run(
            *("initdb", "-D", str(self.folder / "data"), "-U", _USER, "-E", "UTF8"),
            *("-A", "scram-sha-256", f"--pwfile={password}", "--no-sync"),
        )
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        options += f" -c unix_socket_directories={self.folder} -c max_connections=60"
        log = str(self.folder / "log")
        self._run(
            *("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-w", "-o", options, "start")
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, password: str | None = None) -> str:
        login = f"{_USER}:{password or self.password}"
        return f"postgresql+asyncpg://{login}@127.0.0.1:{self.port}/{database}"

    async def disconnect_all(self, database: str) -> None:
        """End every connection to a database as an administrator would."""
        await self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database
        )

    async def execute(self, statement: str, *values: str) -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_USER,
            password=self.password,
            database="postgres",
        )
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        path = postgres_program(program) or program
        prefix = ["runuser", "-u", self._owner, "--"] if self._owner else []
        done = subprocess.run(
            [*prefix, path, *arguments],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if postgres_program("initdb") is None:
        pytest.skip("PostgreSQL is not installed here: no initdb on PATH")
    server = PostgresServer()
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        server.remove()


@pytest_asyncio.fixture
async def empty_postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Give the URL of a database without any table."""
    name = f"empty_{next(_numbers)}"
    await postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    await postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def postgres_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Give the URL of an empty store, copied from one that was migrated once."""
    marker = postgres_server.folder / "template-is-ready"
    if not marker.exists():
        await postgres_server.execute(f"CREATE DATABASE {_TEMPLATE}")
        await (await Store.open(postgres_server.url(_TEMPLATE))).close()
        marker.touch()
    name = f"store_{next(_numbers)}"
    await postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield postgres_server.url(name)
    await postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    return str(request.getfixturevalue("postgres_url"))


@pytest_asyncio.fixture
async def store(any_store_url: str) -> AsyncIterator[Store]:
    opened = await Store.open(any_store_url)
    yield opened
    await opened.close()
