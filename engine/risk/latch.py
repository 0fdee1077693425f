"""The latch: two files that say whether an account may trade, readable with everything else dead.

Trading needs a valid `armed` file and no `HALT` file. Halting removes the first and creates the
second; either alone halts, so a full disk (nothing can be created), a lost volume (nothing is
there) and a plain shell (`: > HALT`) all end in HALTED. Whatever cannot be proved reads as
HALTED. Standard library only: no actor, no database, no terminal.

Survives a crash: every step is one rename or unlink, and after each of them the folder reads as
the safer of the two states. May run twice: halting a halted account changes nothing and keeps the
first record.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.errors import TradingHalted

ARMED_FILE = "armed"
HALT_FILE = "HALT"
REDUCE_FILE = "REDUCE"
MAX_FILE_BYTES = 4096


class TradingState(StrEnum):
    """What strategies may do."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class LatchCause(StrEnum):
    """Why the latch reads as it does."""

    ARMED = "armed"
    REDUCE_FILE = "reduce file"
    HALT_FILE = "halt file"
    NOT_ARMED = "not armed"
    FOREIGN = "foreign armed file"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LatchReading:
    """The latch at one instant.

    Attributes
    ----------
    state : TradingState
    cause : LatchCause
    detail : str, the fact behind the cause in words, for the operator
    who, reason : str, who halted, reduced or armed, and why; empty when unknown
    at : int, UTC ms of that act, None when unknown
    """

    state: TradingState
    cause: LatchCause
    detail: str
    who: str = ""
    reason: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True)
class LatchOutcome:
    """What an act on the latch did.

    Attributes
    ----------
    reading : LatchReading, taken after the act
    is_new : bool, False when the act changed nothing
    problems : tuple of str, each failed step in words; the act may have succeeded without it
    """

    reading: LatchReading
    is_new: bool
    problems: tuple[str, ...] = ()

    @property
    def is_halted(self) -> bool:
        """Return whether strategies are refused now."""
        return self.reading.state is TradingState.HALTED


class Latch:
    """The latch of one account on one host.

    Parameters
    ----------
    folder : Path
        Holds the files; created when first written to.
    account : str
    host : str
        Where the account's gateway runs; an `armed` file of another host is foreign.
    epoch : int
        Counts the account's lives; an `armed` file of another epoch (a restored backup) is foreign.
    """

    def __init__(self, folder: Path, account: str, host: str, epoch: int = 0) -> None:
        self.folder = folder
        self._account = account
        self._host = host
        self._epoch = epoch

    def read(self) -> LatchReading:
        """Return the state; anything odd reads as HALTED. Never raises."""
        try:
            return self._read()
        except (OSError, ValueError, RecursionError) as exc:
            detail = f"the latch in {self.folder} cannot be read: {exc}"
            return LatchReading(TradingState.HALTED, LatchCause.UNREADABLE, detail)

    def is_halted(self) -> bool:
        """Return whether strategies are refused; True when that cannot be proved false."""
        return self.read().state is TradingState.HALTED

    def halt(self, who: str, reason: str, now_at: int) -> LatchOutcome:
        """Halt: remove `armed`, then create `HALT`. Idempotent; never raises.

        Removing comes first because it needs no space on the disk. A failed step is reported in
        `problems`, and the other step alone halts.
        """
        problems: list[str] = []
        was = self.read()
        try:
            self._remove(ARMED_FILE)
        except OSError as exc:
            problems.append(f"{ARMED_FILE} was not removed: {exc}")
        if was.cause is not LatchCause.HALT_FILE:
            record = {"who": who, "reason": reason, "at": now_at}
            problems.extend(self._create_surely(HALT_FILE, record))
        reading = self.read()
        return LatchOutcome(reading, reading.cause is not was.cause, tuple(problems))

    def reduce(self, who: str, reason: str, now_at: int) -> LatchOutcome:
        """Allow no new exposure until armed again. A halted account stays halted; never raises.

        When the mark cannot be written, the account is halted instead: the next safer state.
        """
        was = self.read()
        if was.state is not TradingState.ACTIVE:
            return LatchOutcome(was, is_new=False)
        record = {"who": who, "reason": reason, "at": now_at}
        problems = self._create_surely(REDUCE_FILE, record)
        if self.read().state is TradingState.ACTIVE:
            halted = self.halt(who, f"{reason} (reducing could not be latched)", now_at)
            return LatchOutcome(halted.reading, is_new=True, problems=(*problems, *halted.problems))
        return LatchOutcome(self.read(), is_new=True, problems=tuple(problems))

    def arm(self, who: str, reason: str, now_at: int) -> LatchReading:
        """Allow trading: write `armed`, then remove `REDUCE` and, last of all, `HALT`.

        A crash between two steps leaves the account halted. Callers prove first that positions are
        reconciled and no limit is breached.

        Raises
        ------
        TradingHalted : the files cannot be written, or the latch does not read ACTIVE afterwards.
        """
        record = {
            "account": self._account,
            "host": self._host,
            "epoch": self._epoch,
            "who": who,
            "reason": reason,
            "at": now_at,
        }
        try:
            self._create(ARMED_FILE, record)
            self._remove(REDUCE_FILE)
            self._remove(HALT_FILE)
        except OSError as exc:
            raise TradingHalted(
                f"account {self._account} stays halted: the latch in {self.folder} cannot be "
                f"written ({exc}): make the folder writable and arm again",
                folder=str(self.folder),
            ) from exc
        reading = self.read()
        if reading.state is not TradingState.ACTIVE:
            raise TradingHalted(
                f"account {self._account} stays halted: {reading.detail}", folder=str(self.folder)
            )
        return reading

    def _read(self) -> LatchReading:
        if self._is_present(HALT_FILE):
            return self._marked(HALT_FILE, TradingState.HALTED, LatchCause.HALT_FILE)
        if not self._is_present(ARMED_FILE):
            detail = f"no {ARMED_FILE} file in {self.folder}: this account was never armed here"
            return LatchReading(TradingState.HALTED, LatchCause.NOT_ARMED, detail)
        armed = self._load(ARMED_FILE)
        for key, own in (("account", self._account), ("host", self._host), ("epoch", self._epoch)):
            found = armed.get(key)
            if found != own or type(found) is not type(own):
                detail = f"the {ARMED_FILE} file is for {key} {found!r}, this is {own!r}"
                return LatchReading(TradingState.HALTED, LatchCause.FOREIGN, detail)
        if self._is_present(REDUCE_FILE):
            return self._marked(REDUCE_FILE, TradingState.REDUCING, LatchCause.REDUCE_FILE)
        return _reading(TradingState.ACTIVE, LatchCause.ARMED, "armed", armed)

    def _marked(self, name: str, state: TradingState, cause: LatchCause) -> LatchReading:
        # The mark's presence is what counts: one made by a shell is empty, and just as valid.
        record: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            record = self._load(name)
        return _reading(state, cause, f"{self.folder / name} exists", record)

    def _is_present(self, name: str) -> bool:
        try:
            (self.folder / name).lstat()
        except FileNotFoundError:
            return False
        return True

    def _load(self, name: str) -> dict[str, object]:
        # A link could point anywhere, and a pipe would block the reader for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(self.folder / name, flags)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ValueError(f"{name} is not a plain file")
            text = os.read(handle, MAX_FILE_BYTES + 1)
        finally:
            os.close(handle)
        if len(text) > MAX_FILE_BYTES:
            raise ValueError(f"{name} is longer than {MAX_FILE_BYTES} bytes")
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError(f"{name} does not hold one JSON object")
        return record

    def _remove(self, name: str) -> None:
        try:
            (self.folder / name).unlink()
        except FileNotFoundError:
            return
        _sync_folder(self.folder)

    def _create(self, name: str, record: dict[str, object]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}"
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _write_all(handle, json.dumps(record).encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.rename(self.folder / name)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(self.folder)

    def _create_surely(self, name: str, record: dict[str, object]) -> list[str]:
        """Create a mark, an empty one when its text cannot be written; return what went wrong."""
        try:
            self._create(name, record)
        except OSError as exc:
            problems = [f"{name} was not written in full: {exc}"]
        else:
            return []
        try:
            handle = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.close(handle)
            _sync_folder(self.folder)
        except OSError as exc:
            problems.append(f"an empty {name} was not created either: {exc}")
        return problems


def _reading(
    state: TradingState, cause: LatchCause, detail: str, record: dict[str, object]
) -> LatchReading:
    at = record.get("at")
    return LatchReading(
        state,
        cause,
        detail,
        who=str(record.get("who", "")),
        reason=str(record.get("reason", "")),
        at=at if isinstance(at, int) else None,
    )


def _write_all(handle: int, text: bytes) -> None:
    while text:
        text = text[os.write(handle, text) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
