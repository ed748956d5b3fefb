"""The outline, the page of one question, and the print view."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from viva.bank import Cues, Point, Question
from viva.bank.glossary import Term, glossary
from viva.bank.schema import BUILT_IN
from viva.exchange import write_question
from viva.language import Language, Text
from viva.study.compare import word_diff
from viva.study.schedule import effective_due
from viva.web import desk
from viva.web.render import language_of, page, state
from viva.web.state import now

router = APIRouter()
SHOWN_PER_TOPIC = 300
MAX_MINE = 50_000
ATTEMPTS_SHOWN = 50


@router.get("/outline")
def outline(request: Request, q: str = "") -> HTMLResponse:
    viva = state(request)
    cards = viva.learner.cards()
    found = viva.search.find(q[:200], language_of(request)) if q.strip() else None
    topics: list[dict[str, Any]] = []
    for topic in viva.bank.topics:
        questions = viva.bank.by_topic.get(topic.id, ())
        shown = [question for question in questions if found is None or question.key in found]
        if shown:
            seen = sum(question.key in cards for question in questions)
            topics.append({"topic": topic, "questions": shown[:SHOWN_PER_TOPIC], "more": len(shown) - SHOWN_PER_TOPIC, "seen": seen, "total": len(questions)})
    scores = {key: grade.score for key, grade in desk.last_grades(viva.learner).items()}
    return page(
        request, "outline.html", tab="outline", q=q[:200], topics=topics, cards=cards, scores=scores,
        hits=None if found is None else sum(len(entry["questions"]) + max(0, entry["more"]) for entry in topics),
        total=len(viva.bank), problems=viva.problems,
    )  # fmt: skip


@router.get("/questions/{key}")
def question_page(request: Request, key: str) -> HTMLResponse:
    viva = state(request)
    learner, question = viva.learner, _question(request, key)
    attempts = learner.attempts_of(key, limit=ATTEMPTS_SHOWN)
    mine = learner.my_answers(key)
    card = learner.card(key)
    return page(
        request, "question.html", tab="outline", question=question, topic=viva.bank.topic(question.topic),
        attempts=[(attempt, desk.grade_of(attempt, question)) for attempt in attempts], mine=mine,
        versions=[(old, word_diff(old.text, new.text)) for new, old in pairwise(mine)][:20],
        card=card, due=effective_due(card, desk.study_settings(learner), now()) if card else None,
        examples=learner.own_examples(key), point_texts={point.id: point.text for point in question.points},
        terms=_terms(question, language_of(request)), neighbours=_neighbours(viva.bank.keys, key), editable=question.pack != BUILT_IN,
    )  # fmt: skip


@router.get("/questions/{key}/brief")
def brief(request: Request, key: str) -> HTMLResponse:
    """What unfolds under a question of the outline."""
    return page(request, "brief.html", question=_question(request, key))


@router.post("/questions/{key}/mine")
def save_mine(request: Request, key: str, text: Annotated[str, Form()]) -> Response:
    _question(request, key)
    language = language_of(request)
    if len(text) > MAX_MINE:
        raise HTTPException(413, Text(ko=f"내 답은 {MAX_MINE:,}자까지 적을 수 있습니다.", en=f"Your prepared answer can have up to {MAX_MINE:,} characters.").get(language))
    state(request).learner.save_my_answer(key, language, text.replace("\r\n", "\n"))
    return RedirectResponse(f"/questions/{key}?done=mine#mine", 303)


@router.get("/questions/{key}/edit")
def edit_page(request: Request, key: str) -> HTMLResponse:
    return page(request, "edit.html", tab="outline", question=_editable(request, key), language_shown=language_of(request))


@router.post("/questions/{key}/edit")
async def save_edit(request: Request, key: str) -> Response:
    """Saves the points of an imported question: one row each, an empty row drops the point."""
    form = await request.form()
    question = _editable(request, key)
    language = "ko" if question.question.has("ko") else "en"
    texts, weights, cues = ([str(v) for v in form.getlist(name)] for name in ("point", "weight", "cues"))
    points = []
    for number, (text, weight, lines) in enumerate(zip(texts, weights, cues, strict=False), 1):
        text = " ".join(text.split())[:500]
        if not text:
            continue
        said = tuple(line.strip()[:500] for line in lines.splitlines() if line.strip())[:20] or (text.replace(" + ", " ").replace(" | ", " "),)
        points.append(
            Point(
                id=f"p{number}", weight=int(weight) if weight in ("1", "2", "3") else 2, text=Text.model_validate({language: text}), cues=Cues.model_validate({language: said})
            )
        )
    write_edit(request, question, question.model_copy(update={"points": tuple(points)}))
    return RedirectResponse(f"/questions/{key}?done=edit", 303)


def write_edit(request: Request, old: Question, new: Question) -> None:
    """Writes a changed question to its file, with an undo step that writes the old one back."""
    viva = state(request)
    path = viva.packs_folder / old.pack / old.topic / f"{old.id}.md"
    write_question(path, new)
    viva.learner.record_action(
        "edit-question", Text(ko="질문 고치기", en="edit of a question"),
        {"path": str(path.relative_to(viva.packs_folder)), "before": old.model_dump(mode="json"), "after": new.model_dump(mode="json")},
    )  # fmt: skip
    viva.reload()


@router.get("/glossary")
def glossary_page(request: Request, q: str = "") -> HTMLResponse:
    """All terms with a definition, or those that ``q`` names in either language."""
    language = language_of(request)
    wanted = q.strip().lower()[:100]
    terms = [term for term in glossary() if term.definition is not None and (not wanted or any(wanted in name.lower() for name in term.names))]
    terms.sort(key=lambda term: term.name(language).lower())
    return page(request, "glossary.html", tab="outline", terms=terms, q=q[:100])


@router.get("/print")
def print_view(request: Request, topic: str = "", answers: int = 1, mine: int = 0) -> HTMLResponse:
    viva = state(request)
    chapters = [(viva.bank.topic(name), questions) for name, questions in viva.bank.by_topic.items() if not topic or name == topic]
    own = {key: texts for key in viva.bank.keys if (texts := viva.learner.my_answers(key))} if mine else {}
    return page(request, "print.html", tab="outline", chapters=chapters, answers=answers, mine=mine, own=own, topic=topic, topics=viva.bank.topics)


def _question(request: Request, key: str) -> Question:
    question = state(request).bank.get(key)
    if question is None:
        raise HTTPException(404, desk.no_question(language_of(request), key))
    return question


def _editable(request: Request, key: str) -> Question:
    question = _question(request, key)
    if question.pack == BUILT_IN:
        raise HTTPException(403, Text(ko="기본 질문은 이 화면에서 고칠 수 없습니다. 내 답은 질문 화면에 적을 수 있습니다.", en="The built-in questions cannot be edited here. Your own answer goes on the question's page.").get(language_of(request)))
    return question


def _terms(question: Question, language: Language) -> list[Term]:
    """The glossary's terms that the question and its answer name and that have a definition, in order of appearance."""
    text = " ".join(part.get(language) for part in (question.question, question.answer) if part is not None)
    known = glossary()
    found = dict.fromkeys(hit.term for hit in known.longest(text))
    return [known.terms[term] for term in found if known.terms[term].definition is not None]


def _neighbours(keys: tuple[str, ...], key: str) -> dict[str, Any]:
    at = keys.index(key)
    return {"before": keys[at - 1] if at else None, "after": keys[at + 1] if at + 1 < len(keys) else None}
