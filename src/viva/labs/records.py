"""Records: the committed evidence of every lab at its default parameters, ``records/<lab>.json``.

``viva lab record`` writes them; nobody edits them. `compare` says where another run disagrees: a verdict that differs is always
an error; a number only when it was measured with the same parameters and seeds, and its mean lies further away than the
measure's tolerance.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from viva.labs.evidence import VERDICTS, Evidence, short
from viva.language import Text

RECORDS = Path(__file__).with_name("records")
REGENERATE = "viva lab record"


@dataclass(frozen=True)
class Difference:
    """One thing in which a run and the record disagree. ``kind`` is "claims", "verdict" or "number"."""

    kind: str
    text: Text


def path(id: str) -> Path:
    """Where the record of a lab lies."""
    return RECORDS / f"{id}.json"


def read(id: str) -> Evidence | None:
    """The record of a lab; None where there is none yet."""
    file = path(id)
    return Evidence.model_validate_json(file.read_bytes()) if file.is_file() else None


def write(evidence: Evidence) -> Path:
    """Makes ``evidence`` the record of its lab. One line for each measurement, claim and figure, so that a change reads as one."""
    entries = []
    for key, value in evidence.model_dump(mode="json").items():
        if isinstance(value, list):
            body = "[" + ",".join("\n  " + _compact(item) for item in value) + "\n ]"
        else:
            body = _compact(value)
        entries.append(f" {json.dumps(key)}: {body}")
    file = path(evidence.lab)
    file.parent.mkdir(exist_ok=True)
    file.write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")
    return file


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compare(record: Evidence, evidence: Evidence) -> list[Difference]:
    """Where ``evidence`` disagrees with the record; an empty list where it does not."""
    before = {(judged.question, judged.id): judged.verdict for judged in record.claims}
    now = {(judged.question, judged.id): judged.verdict for judged in evidence.claims}
    found: list[Difference] = []
    if before.keys() != now.keys():
        found.append(Difference("claims", Text(ko="기록과 랩의 주장 목록이 다릅니다", en="the record is of other claims than the lab's")))
    for key in [key for key in before if key in now and before[key] != now[key]]:
        found.append(
            Difference(
                "verdict",
                Text(
                    ko=f"{'/'.join(key)}: 기록은 '{VERDICTS[before[key]].get('ko')}', 이번에는 '{VERDICTS[now[key]].get('ko')}'",
                    en=f"{'/'.join(key)}: {VERDICTS[before[key]].get('en')} in the record, {VERDICTS[now[key]].get('en')} now",
                ),
            )
        )
    if (record.parameters, record.environment.seeds) != (evidence.parameters, evidence.environment.seeds):
        return found
    kept = {measurement.name: measurement for measurement in record.measurements}
    for measurement in evidence.measurements:
        old = kept.get(measurement.name)
        if old is None or old.tolerance is None:
            continue
        if (old.mean is None) != (measurement.mean is None) or (old.mean is not None and measurement.mean is not None and abs(old.mean - measurement.mean) > old.tolerance):
            found.append(
                Difference(
                    "number",
                    Text(
                        ko=f"{measurement.label.get('ko')}: 기록은 {short(old.mean)} ± {short(old.tolerance)}, 이번에는 {short(measurement.mean)}",
                        en=f"{measurement.label.get('en')}: {short(old.mean)} ± {short(old.tolerance)} in the record, {short(measurement.mean)} now",
                    ),
                )
            )
    return found
