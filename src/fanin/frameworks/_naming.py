"""Naming: what every adapter does to canonical names: no two alike, renamed, behind a prefix."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from fanin.errors import FaninError, quote, suggestion
from fanin.streams._address import stream_number

Item = TypeVar("Item")
ShapeOf = Callable[[Item], tuple[int, ...]]


def check_prefix(prefix: str) -> str:
    """What stands before every name, without the dot between them: "" for nothing."""
    if not isinstance(prefix, str) or prefix:
        try:
            stream_number(prefix.removesuffix(".") if isinstance(prefix, str) else prefix)
        except FaninError:
            raise FaninError(
                f"prefix is {quote(prefix)}; it is text that stands before every name, such as "
                "'critic1'."
            ) from None
    return prefix.removesuffix(".")


def put(found: dict[str, Item], name: str, item: Item, shape_of: ShapeOf[Item], hint: str) -> None:
    """Add what has this name; FaninError if another one has it."""
    if name in found:
        raise FaninError(
            f"{name} is the name of two parameters, of shapes {shape_of(found[name])} and "
            f"{shape_of(item)}; {hint}."
        )
    found[name] = item


def rename_all(
    found: Mapping[str, Item],
    rename: Mapping[str, str] | None,
    others: Mapping[str, str],
    shape_of: ShapeOf[Item],
) -> dict[str, Item]:
    """The same under the names wanted; `others` are the canonical names by those of ties."""
    rename = {} if rename is None else rename
    if not isinstance(rename, Mapping):
        raise FaninError(f"rename is {quote(rename)}; it maps names found to names wanted.")
    rename = {others.get(name, name): wanted for name, wanted in rename.items()}
    for name, wanted in rename.items():
        if name not in found:
            raise FaninError(f"rename has {quote(name)}{suggestion(str(name), list(found))}")
        try:
            stream_number(wanted)
        except FaninError as error:
            raise FaninError(f"rename[{name!r}]: {error}") from None
    if not rename:
        return dict(found)
    result: dict[str, Item] = {}
    for name, item in found.items():
        put(result, rename.get(name, name), item, shape_of, "give each its own in rename=")
    return result
