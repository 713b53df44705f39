"""What a command printed, as a value."""

from __future__ import annotations


class Output(str):
    """All that a terminal would show, standard error too, without the last newline.

    A notebook shows it as text, not as a quoted string. `exit_code` is the command's.
    """

    __slots__ = ("exit_code",)

    exit_code: int

    def __new__(cls, text: str = "", exit_code: int = 0) -> Output:
        made = super().__new__(cls, text.removesuffix("\n"))
        made.exit_code = exit_code
        return made

    def __repr__(self) -> str:
        return str(self)

    def grep(self, text: str) -> Output:
        """The lines that contain `text` (plain text); exit code 1 if there is none."""
        found = [line for line in self.splitlines() if text in line]
        return Output("\n".join(found), 0 if found else 1)


def joined(outputs: list[Output], between: str = "\n") -> Output:
    """Several outputs one after the other; the exit code is the first that is not 0."""
    code = next((o.exit_code for o in outputs if o.exit_code), 0)
    return Output(between.join(o for o in outputs if o), code)
