"""How numeric loops are compiled: no GIL, kept on disk, division by zero as in IEEE 754.

`fastmath` stays off, so the compiler neither reorders sums nor fuses a multiply with an add: a loop
over the same float64 values in JavaScript or Python gives the same bits.

The cache on disk notices a change of the file that holds a function, not of the files it calls
into; the scripts therefore keep one cache for each state of all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from engine.types import FloatArray

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile `function` at its first call; division by zero gives inf or NaN, as in JavaScript."""
    compile_it = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)
    return cast(Function, compile_it(function))


def compiled_kernel(function: Callable[..., Any]) -> Any:
    """Compile like `compiled`, for loops whose many array arguments are described in words."""
    return compiled(function)


def kernel_step(function: Callable[..., Any]) -> Any:
    """Compile a step of a larger loop, which allocates nothing, without reference counting.

    Counting the references to the arrays that such steps pass to each other costs more than the
    steps themselves.
    """
    options: dict[str, Any] = {"_nrt": False, "error_model": "numpy"}
    return numba.njit(cache=True, nogil=True, **options)(function)


def inlined_step(function: Callable[..., Any]) -> Any:
    """Compile a step so small that it is always written into its caller."""
    options: dict[str, Any] = {"_nrt": False, "error_model": "numpy"}
    return numba.njit(cache=True, nogil=True, inline="always", **options)(function)


def read_only(column: FloatArray) -> FloatArray:
    """Return a contiguous read-only view of `column`, or itself when it is that already.

    Arrays from an object store are read-only and others are not; one type for both means one
    compilation.
    """
    flags = column.flags
    if flags.c_contiguous and not flags.writeable and column.dtype == np.float64:
        return column
    view = np.ascontiguousarray(column, dtype=np.float64).view()
    view.flags.writeable = False
    return view
