"""Every error that a user can meet, with its exit code.

    LlmforgeError            1  a bug, if it is raised bare
    +- SettingsError         2  settings or usage
    +- InputError            3  an input or artifact is missing, stale, corrupt or over its bad-record budget
    +- MachineError          4  package, device, disk or lock
    +- DivergedError         5  training diverged, or a parity check missed
    +- Preempted            75  stopped by a signal, state saved; the same command goes on
    (Ctrl-C)               130

Only `cli/` turns an error into an exit status.
"""


class LlmforgeError(Exception):
    """An error with its values, and what to do about it.

    Args:
        what: what happened, with the values involved; one sentence.
        hint: what the user can do next, without a leading "hint:".
    """

    exit_code = 1

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return self.what if self.hint is None else f"{self.what}\n  hint: {self.hint}"


class SettingsError(LlmforgeError):
    """A setting or a command line that can be judged wrong without opening an input."""

    exit_code = 2


class InputError(LlmforgeError):
    """An input or artifact that is missing, stale, corrupt or has too many bad records."""

    exit_code = 3


class MachineError(LlmforgeError):
    """The machine lacks something: a package, a device, disk space, a free lock."""

    exit_code = 4


class DivergedError(LlmforgeError):
    """Training met a non-finite loss or gradient that its policy does not allow."""

    exit_code = 5


class Preempted(LlmforgeError):  # noqa: N818 - it is no failure
    """Stopped on request after the state was saved."""

    exit_code = 75
