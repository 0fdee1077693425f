"""Every target by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.config import Config
from engine.deploy.cloudflare import CloudflareTarget
from engine.deploy.local import LocalTarget
from engine.deploy.target import Target
from engine.deploy.token import worker_token, workers_folder

CLOUDFLARE = "cloudflare"
WORKERD = "workerd"
TARGETS = (WORKERD, CLOUDFLARE)


def targets_of(
    config: Config,
    now_s: Callable[[], float],
    told: Callable[[str], None],
    marks: Mapping[str, str],
) -> dict[str, Target]:
    """Return the targets of a home; nothing is started or asked yet.

    Parameters
    ----------
    now_s : seconds of a clock that never runs backwards
    told : hears in words what was mended
    marks : further environment of processes, so that they are known as ours
    """
    folder = workers_folder(config.paths.home)
    token = worker_token(config.paths.home)
    most = config.deploy.services_per_process
    return {
        WORKERD: LocalTarget(folder / "processes", token, most, now_s, told, marks),
        CLOUDFLARE: CloudflareTarget(config.cloudflare, folder, token, now_s, told),
    }
