"""When a picture was taken, as far as its file's name tells."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

MOST_WITHOUT = 0.05  # share of pictures that may lack a time

DATE = r"(?<!\d)(\d{4})[-_:.]?(\d\d)[-_:.]?(\d\d)"
DATE_AND_TIME = re.compile(DATE + r"[-_:.T ]?(\d\d)[-_:.h]?(\d\d)(?:[-_:.m]?(\d\d))?(?!\d)")
DATE_ALONE = re.compile(DATE + r"(?!\d)")
EPOCH = re.compile(r"(?<!\d)(\d{10})(?:\d{3})?(?!\d)")
SECONDS = re.compile(r"(?<!\d)(\d{1,6}\.\d+)(?!\d)")  # of a video
YEARS = range(1995, 2100)


def times_of(names: list[str]) -> list[float | None] | None:
    """Seconds for each name, all by the same kind of clock; None if no kind is in nearly all names.

    The time zone does not matter: a local time is read as if it were UTC. The same clock for all, because a number
    that looks like a time in a few names is none.
    """
    for clock in CLOCKS:
        times = [clock(name) for name in names]
        known = [time for time in times if time is not None]
        if len(known) >= (1 - MOST_WITHOUT) * len(names) and len(set(known)) > 1:
            return times
    return None


def _calendar(pattern: re.Pattern) -> Callable[[str], float | None]:
    def clock(name: str) -> float | None:
        for found in pattern.finditer(name):
            try:
                moment = datetime(*[int(group or 0) for group in found.groups()], tzinfo=UTC)
            except ValueError:
                continue
            if moment.year in YEARS:
                return moment.timestamp()
        return None

    return clock


def _epoch(name: str) -> float | None:
    for found in EPOCH.finditer(name):
        if datetime.fromtimestamp(int(found.group(1)), UTC).year in YEARS:
            return float(found.group(1))
    return None


def _video(name: str) -> float | None:
    found = SECONDS.search(name)
    return float(found.group(1)) if found else None


CLOCKS = [_calendar(DATE_AND_TIME), _epoch, _calendar(DATE_ALONE), _video]
