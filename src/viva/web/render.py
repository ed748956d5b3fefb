"""Templates, with the words of both languages in place.

A template writes every sentence as ``t("한국어", "English")``; numbers and names go in as ``{n}``.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from viva import __version__
from viva.bank import markup
from viva.language import Language, Text, parse_language
from viva.study.settings import StudySettings
from viva.web.desk import local_offset
from viva.web.guard import csrf_token
from viva.web.state import AppState

HERE = Path(__file__).parent
STATIC = HERE / "static"

_environment = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_STATUS_WORDS = {
    "made": Text(ko="말함", en="made"),
    "partly": Text(ko="일부만", en="partly"),
    "missed": Text(ko="빠짐", en="missed"),
    "backwards": Text(ko="반대로 말함", en="backwards"),
}
STATUS_SIGNS = {"made": "●", "partly": "◐", "missed": "○", "backwards": "⇄"}
RATING_WORDS = {
    1: Text(ko="다시", en="Again"),
    2: Text(ko="어려움", en="Hard"),
    3: Text(ko="알맞음", en="Good"),
    4: Text(ko="쉬움", en="Easy"),
}
WEEKDAYS = {"ko": "월화수목금토일", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


def state(request: Request) -> AppState:
    viva: AppState = request.app.state.viva
    return viva


def settings_of(request: Request) -> dict[str, Any]:
    """The learner's settings, read once a request."""
    kept: dict[str, Any] | None = getattr(request.state, "settings", None)
    if kept is None:
        kept = request.state.settings = state(request).learner.settings()
    return kept


def language_of(request: Request) -> Language:
    """The learner's language; before one is chosen, what the browser asks for."""
    chosen = settings_of(request).get("language")
    if chosen:
        return parse_language(str(chosen))
    accepts = request.headers.get("accept-language", "ko").lower()
    korean, english = accepts.find("ko"), accepts.find("en")
    return "en" if english >= 0 and (korean < 0 or english < korean) else "ko"


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """``template`` as a page, with everything that the frame needs."""
    viva = state(request)
    settings = settings_of(request)
    language = values.pop("language", None) or language_of(request)
    html = _environment.get_template(template).render(
        {
            "lang": language,
            "other": "en" if language == "ko" else "ko",
            "t": translator(language),
            "settings": settings,
            "theme": settings.get("theme", "auto"),
            "csrf": csrf_token(request),
            "path": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "version": __version__,
            "static": static_url,
            **_steps(viva, language, request.query_params.get("done")),
            "done": request.query_params.get("done"),
            "md": lambda text: Markup(markup.render(_pick(text, language))),
            "mdi": lambda text: Markup(markup.render_inline(_pick(text, language))),
            "say": lambda text: _pick(text, language),
            "sign": STATUS_SIGNS,
            "status_word": {name: text.get(language) for name, text in _STATUS_WORDS.items()},
            "rating_word": {number: text.get(language) for number, text in RATING_WORDS.items()},
            "clock": clock,
            "span": lambda delta: span(delta, language),
            "day": lambda value: day(value, language),
            "local": local,
            "json": json.dumps,
            **values,
        }
    )
    return HTMLResponse(html, status_code=status)


def translator(language: Language) -> Any:
    def t(ko: str, en: str, **values: Any) -> str:
        sentence = ko if language == "ko" else en
        return sentence.format(**values) if values else sentence

    return t


def static_url(name: str) -> str:
    """The address of a built file, with its time of building, so that browsers may keep it."""
    try:
        built = int((STATIC / name).stat().st_mtime)
    except OSError:
        built = 0
    return f"/static/{name}?v={built}"


def clock(seconds: float | None) -> str:
    minutes, rest = divmod(int(seconds or 0), 60)
    return f"{minutes}:{rest:02d}"


def span(delta: timedelta, language: Language) -> str:
    """A time ahead in the largest unit that says enough: '10분 뒤', 'in 2 days'."""
    minutes = max(1, round(delta.total_seconds() / 60))
    if minutes < 60:
        return f"{minutes}분 뒤" if language == "ko" else f"in {minutes} min"
    if minutes < 60 * 24:
        hours = round(minutes / 60)
        return f"{hours}시간 뒤" if language == "ko" else f"in {hours} h"
    days = round(minutes / 60 / 24)
    if days < 60:
        return f"{days}일 뒤" if language == "ko" else f"in {days} {'day' if days == 1 else 'days'}"
    months = round(days / 30.4)
    return f"{months}개월 뒤" if language == "ko" else f"in {months} months"


def local(moment: datetime) -> datetime:
    return moment + local_offset()


def day(value: date | datetime, language: Language) -> str:
    """A date as people write it: '11월 21일 (금)', 'Fri 21 Nov'."""
    if isinstance(value, datetime):
        # The learner's day begins at four: what was done after midnight belongs to the evening before.
        value = (local(value) - timedelta(hours=StudySettings().day_start_hour)).date()
    weekday = WEEKDAYS[language][value.weekday()]
    if language == "ko":
        return f"{value.month}월 {value.day}일 ({weekday})"
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{weekday} {value.day} {months[value.month - 1]}"


def _pick(text: Text | str | None, language: Language) -> str:
    if text is None:
        return ""
    return text if isinstance(text, str) else text.get(language)


def _steps(viva: AppState, language: Language, notice: str | None) -> dict[str, str | None]:
    """What the notice of a page offers: the step to undo, and the one just undone or done again."""
    if not notice:
        return {"undo_label": None, "redo_label": None}
    steps = viva.learner.undo_list()
    done = next((step.label.get(language) for step in steps if step.state == "done"), None)
    undone = next((step.label.get(language) for step in reversed(steps) if step.state == "undone"), None)
    return {"undo_label": done, "redo_label": undone}
