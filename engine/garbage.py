"""Keep the garbage collector away from what lives as long as the process."""

from __future__ import annotations

import gc


def set_aside() -> None:
    """Collect once, then never look again at what is alive now.

    A full collection walks everything that was ever imported (an exchange client alone is a hundred
    thousand objects), and stands between the close of a bar and its order for some 90 ms; Ray asks
    every process of a machine for one, all at the same moment, twice a minute once its store is
    well filled. Called when a process is ready and before it has anything urgent to do.
    """
    gc.collect()
    gc.freeze()
