"""Choose Terraform and Packer: the first that can be used, of what PATH has and what can be fetched."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from localcloud.errors import LocalCloudError
from localcloud.tools.programs import Program, check_terraform, dotted, minimum, overlay_for

#: Returns a program, or raises LocalCloudError with the reason why there is none, as a part of a sentence.
Way = Callable[[], Program]


@dataclass(frozen=True)
class Chosen:
    """What is used, and why what would have come before it is not."""

    program: Program
    passed_over: tuple[str, ...] = ()


def terraform(ways: Iterable[Way]) -> Chosen:
    """Choose Terraform. ways: how to come by one, the best first. Raises LocalCloudError."""
    return _first("terraform", ways, check_terraform)


def packer(ways: Iterable[Way], fetch_plugins: Callable[[Program], None]) -> Chosen:
    """Choose Packer: one that takes the product's template and has its plugins, or one for the overlay.

    Args:
        ways: how to come by one, the best first.
        fetch_plugins: makes sure of the plugins that the product's template needs, or raises LocalCloudError.
    """

    def check(program: Program) -> None:
        if overlay_for(program) is None:
            fetch_plugins(program)

    return _first("packer", ways, check)


def _first(name: str, ways: Iterable[Way], check: Callable[[Program], None]) -> Chosen:
    reasons: list[str] = []
    for way in ways:
        try:
            program = way()
            check(program)
        except LocalCloudError as error:
            reasons.append(str(error))
        else:
            return Chosen(program, tuple(reasons))
    needed = f"{name.capitalize()} {dotted(minimum(name))} or later"
    raise LocalCloudError(
        f"Install {needed} and put it on PATH. There is none to be used: {'; '.join(reasons)}."
    )
