"""The learner's own examples: taking one back, and all of them as a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from viva.grading import blank_grade
from viva.language import Text
from viva.web import desk, transfer
from viva.web.marking import taken_back
from viva.web.render import language_of, state
from viva.web.state import now

router = APIRouter()


@router.post("/questions/{key}/examples/remove")
def remove(request: Request, key: str, attempt: Annotated[str, Form()], point: Annotated[str, Form()]) -> Response:
    """Takes the overruled mark behind an example back, in every answer with the same words; undoable in one step."""
    viva, language = state(request), language_of(request)
    question = viva.bank.get(key)
    if question is None:
        raise HTTPException(404, desk.no_question(language, key))
    learner = viva.learner
    example = next((own for own in learner.own_examples(key) if own.attempts[0] == attempt and own.example.point == point), None)
    if example is None:
        raise HTTPException(404, Text(ko="그런 예문이 없습니다. 이미 뺐을 수 있으니 화면을 새로 열어 주세요.", en="There is no such example; it may be gone already. Load the page again.").get(language))
    first = learner.first_grades(example.attempts)
    grades = {
        kept.id: taken_back(question, kept.grade, first.get(kept.id) or blank_grade(question), point)
        for kept in learner.attempts_of(key) if kept.id in example.attempts and kept.grade is not None
    }  # fmt: skip
    learner.add_grades(grades, grader="learner", label=Text(ko="내 예문 빼기", en="removal of your example"))
    return RedirectResponse(f"/questions/{key}?done=example#own-examples", 303)


@router.get("/export/examples.yaml")
def export(request: Request) -> Response:
    """As ``viva grading examples``."""
    return Response(
        transfer.as_yaml(transfer.export_examples(state(request).learner)),
        media_type="application/yaml",
        headers={"content-disposition": f'attachment; filename="viva-examples-{now():%Y-%m-%d}.yaml"'},
    )
