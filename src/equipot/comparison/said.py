"""What is said on the way: what went wrong, and nothing twice."""

from equipot.train.begin import Say
from equipot.train.loop import Diverged


def message_of(error: Exception) -> str:
    """What to say of an error: those that were written for the user speak for themselves."""
    if isinstance(error, ValueError | Diverged | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}"


class Once:
    """Passes on what was not said before: notes about the data belong to all runs."""

    def __init__(self, say: Say) -> None:
        self.say, self.heard = say, set[str]()

    def __call__(self, text: str) -> None:
        """Say it, the first time."""
        if text not in self.heard:
            self.heard.add(text)
            self.say(text)
