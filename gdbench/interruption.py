"""Whether Ctrl-C is behind an exception: clean-up that it cut short raises errors of its own in its place."""

from __future__ import annotations

__all__ = ["was_interrupted"]


def was_interrupted(error: BaseException) -> bool:
    """Whether an exception was raised while a KeyboardInterrupt was handled, as in a ``finally`` of OmegaConf's."""
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if isinstance(link, KeyboardInterrupt):
            return True
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            links += [link.__cause__, link.__context__]
    return False
