"""An optional limit of submissions on Gradescope: so many within so many hours, off unless a teacher asks for it.

The times are those of the submissions, as `submission_metadata.json` tells them, so that grading again comes to the
same end. A submission beyond the limit is not graded and keeps the results of the one before; it does not count itself,
and so nobody waits longer for having tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

LIMITED = "limited"  # in extra_data of what was not graded


def instead(metadata: Mapping[str, Any], count: int, hours: float) -> dict[str, Any] | None:
    """The results of a submission beyond the limit, or None for one that is to be graded.

    Parameters
    ----------
    metadata : mapping
        The content of submission_metadata.json.
    count : int
        Submissions that are graded within `hours`; 0 for no limit.
    hours : float
    """
    if not count:
        return None
    now = datetime.fromisoformat(metadata["created_at"])
    counted = []
    latest: tuple[datetime, dict[str, Any]] | None = None
    for previous in metadata.get("previous_submissions") or []:
        when, results = datetime.fromisoformat(previous["submission_time"]), previous.get("results") or {}
        if results and (latest is None or when > latest[0]):
            latest = when, results
        if now - when < timedelta(hours=hours) and not (results.get("extra_data") or {}).get(LIMITED):
            counted.append(when)
    if len(counted) < count or latest is None:
        return None
    free = min(sorted(counted)[-count:]) + timedelta(hours=hours)
    said = (
        f"Not graded: {count} submissions within {hours:g} hours are graded, and this is one more. "
        f"The next one is graded from {free:%Y-%m-%d %H:%M} on; below are the results of an earlier one."
    )
    kept = {name: value for name, value in latest[1].items() if name != "score"}
    earlier = kept.get("output", "")
    first = earlier if (kept.get("extra_data") or {}).get(LIMITED) is None else earlier.partition("\n\n")[2]
    extra = {**(kept.get("extra_data") or {}), LIMITED: True}
    return {**kept, "output": f"{said}\n\n{first}", "output_format": "text", "extra_data": extra}
