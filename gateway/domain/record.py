"""What busy roads carry: dataclasses that are frozen for the type checker, and cost what plain ones do.

At run time nothing watches. The standard library's frozen class sets each field by `object.__setattr__`, in
three times the time, and a text on its way makes some forty records of three hundred fields.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

__all__ = ["record"]

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen: bool, **options: bool) -> Callable[[type[T]], type[T]]:
        """As `dataclass`; a frozen one is hashed by its fields, as ever."""
        return dataclass(unsafe_hash=frozen, **options)
