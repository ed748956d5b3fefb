"""The whole way on real pages: welcome, question, own words, reveal, marks, rating, next question, progress."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from browser_learner import LANGUAGES, OWN_WORDS, QUESTION, SECOND_WORDS, Learner, at_the_browser, bank, plain

from viva.web import desk
from viva.web.state import now

pytestmark = pytest.mark.browser
FIRST_WORDS = {
    "ko": "딥러닝은 층을 여러 개 쌓은 신경망을 역전파로 학습하는 머신러닝입니다. 특징을 사람이 정하지 않고 데이터에서 배웁니다.",
    "en": "Deep learning is machine learning with many stacked layers trained end to end by backpropagation. Features are learned from data rather than designed by hand.",
}


def model_answer(key: str, language: str) -> str:
    answer = bank()[key].answer
    assert answer is not None
    return answer.get(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_way_from_the_first_screen_to_the_second_question(app: Any, chromium: Any, language: str) -> None:
    with at_the_browser(app, chromium, None, locale="en-GB" if language == "en" else "ko-KR") as learner:
        learner.language = language
        page = learner.page

        # The first screen asks for the language and, if there is one, the date of the interview.
        learner.open("/")
        assert learner.path() == "/welcome"
        page.check(f"input[name=language][value={language}]")
        day = date.today() + timedelta(days=18)
        page.fill("input[name=interview]", day.isoformat())
        page.click("form.stack button.go")
        page.wait_for_url("**/practice")
        assert page.locator("html").get_attribute("lang") == language
        left = desk.days_left(learner.stored(), now())
        learner.see(".where", learner.say(f"면접까지 {left}일", f"{left} days to the interview"))
        assert learner.stored().settings()["interview"] == day.isoformat()

        # Enter starts; the page has the question and not a word of its answer.
        page.keyboard.press("Enter")
        page.wait_for_url("**/practice/*/1")
        learner.ready()
        key = page.locator("#answer").get_attribute("data-question")
        question = bank()[key]
        learner.see("h1", plain(question.question.get(language)))
        source = page.content()
        for hidden in (*bank()[key].points, *question.misconceptions):
            assert plain(hidden.text.get(language)) not in source
        assert plain(model_answer(key, language)) not in source

        # The answer in one's own words, and the reveal.
        assert key == "what-is-deep-learning", "the list does not start with its first question"
        learner.answer(FIRST_WORDS[language])
        assert learner.path().startswith("/attempts/")
        own = page.locator("[aria-labelledby=own-title]")
        assert own.locator(".said").inner_text().replace("\n", " ").strip() == FIRST_WORDS[language]
        model = page.locator("[aria-labelledby=model-title]")
        assert plain(model_answer(key, language)) in model.inner_text()
        assert own.bounding_box()["y"] == model.bounding_box()["y"], "the two answers do not stand side by side"
        marks = learner.marks()
        assert len(marks) == len(question.points) and {"made", "missed"} <= set(marks)
        read = page.locator(".said mark").all_inner_texts()
        assert read and all(words in FIRST_WORDS[language] for words in read)
        assert page.locator("#points small", has_text=read[0]).count() >= 1, "no point quotes the underlined words"
        assert page.locator(".follow li").count() == len(question.follow_ups) >= 1
        suggested = learner.suggested()
        assert suggested in (1, 2, 3, 4)

        # The learner overrules: everything made, and the suggestion follows; U takes the last mark back.
        for place, mark in enumerate(marks):
            if mark != "made":
                learner.mark(place, "made")
        assert set(learner.marks()) == {"made"} and learner.suggested() == 4
        last = max(place for place, mark in enumerate(marks) if mark != "made")
        learner.undo()
        assert learner.marks()[last] == marks[last]
        assert learner.suggested() is not None

        # The rating by its key leads to the next question.
        learner.rate(3)
        page.wait_for_url("**/practice/*/2?done=rate")
        assert page.locator("#answer").get_attribute("data-question") != key
        reviews = learner.stored().reviews()
        assert [(review.question, review.rating) for review in reviews] == [(key, 3)]

        # The record shows it.
        page.keyboard.press("Tab")
        learner.open("/progress")
        figures = page.locator("dl.figures dd").all_inner_texts()
        assert figures[:2] == ["1", "1"]
        assert page.locator("table.bars").first.locator("tbody tr").first.locator("td").nth(1).inner_text() == "1"
        topic = page.locator("tr", has=page.locator(f"a[href='/outline#topic-{question.topic}']"))
        assert topic.locator("td").nth(1).inner_text().startswith("1/")


def test_the_second_answer_shows_the_first_one_and_what_changed(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        learner.ask()
        learner.answer(OWN_WORDS["en"])
        assert page.locator("[aria-labelledby=earlier-title]").count() == 0
        learner.rate(3)
        learner.ask()
        learner.answer(SECOND_WORDS["en"])
        earlier = page.locator("[aria-labelledby=earlier-title]")
        assert earlier.locator("h2 .num").inner_text() == "1"
        earlier.locator("summary").click()
        assert "He initialisation" in " ".join(earlier.locator("ins").all_inner_texts())
        assert "positive" in " ".join(earlier.locator("del").all_inner_texts())


@pytest.mark.parametrize("language", LANGUAGES)
def test_copying_the_model_answer_is_told_and_earns_no_easy(app: Any, chromium: Any, language: str) -> None:
    with at_the_browser(app, chromium, language) as learner:
        learner.ask()
        learner.answer(model_answer(QUESTION, language))
        learner.see(".warn", learner.say("모범 답안을 거의 그대로 옮긴 답입니다", "almost word for word"))
        assert learner.page.locator("button[name=rating][value='4']").is_disabled()
        assert learner.suggested() != 4
        learner.page.keyboard.press("4")
        assert learner.path().startswith("/attempts/") and not learner.stored().reviews()


def test_my_answer_is_kept_in_versions_and_shown_first(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        learner.ask()
        learner.answer(OWN_WORDS["ko"])
        page.click("text=준비한 답’으로 두기")
        page.wait_for_url(f"**/questions/{QUESTION}?done=mine*")
        mine = page.locator("#mine textarea")
        assert mine.input_value() == OWN_WORDS["ko"]
        mine.fill(SECOND_WORDS["ko"])
        page.click("#mine button:has-text('저장')")
        learner.see("#mine .num", "2번째")
        page.click("#mine details.earlier summary")
        assert "He" in " ".join(page.locator("#mine ins").all_inner_texts())

        # The reveal puts it before the model answer, which folds away.
        learner.ask()
        learner.answer("잘 모르겠지만 ReLU가 더 빠릅니다.")
        model = page.locator("[aria-labelledby=model-title]")
        assert model.locator(".said").first.inner_text() == SECOND_WORDS["ko"]
        assert not model.locator("details.model .said").is_visible()
        model.locator("details.model summary").click()
        assert plain(model_answer(QUESTION, "ko")) in model.locator("details.model .said").inner_text()

        # One step back is the first version again.
        learner.open(f"/questions/{QUESTION}?done=mine")
        page.click(".notice button")
        page.wait_for_url("**done=undone**")
        learner.open(f"/questions/{QUESTION}")
        assert page.locator("#mine textarea").input_value() == OWN_WORDS["ko"]
        assert [kept.text for kept in learner.stored().my_answers(QUESTION)] == [OWN_WORDS["ko"]]


def test_speaking_runs_a_timer_and_the_learner_marks_the_points(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        page.clock.install()
        learner.ask()
        page.keyboard.press("Alt+3")
        learner.see("#way-spoken")
        page.locator("h1").click()
        page.keyboard.press("Space")
        learner.see("[data-spoken]", "Pause")
        page.clock.run_for(65_000)
        page.keyboard.press("Space")
        learner.see("[data-spoken]", "Go on speaking")
        spoken = page.inner_text("#spoken-clock")
        assert spoken in ("1:05", "1:06")
        page.clock.run_for(30_000)
        assert page.inner_text("#spoken-clock") == spoken, "a pause counts as speaking"
        learner.hand_in()
        learner.see(".said", "You answered aloud")
        assert page.inner_text("#own-title").endswith(("1:05", "1:06"))
        assert learner.suggested() is None and set(learner.marks()) == {"missed"}
        for place in range(len(bank()[QUESTION].points)):
            learner.mark(place, "made")
        assert learner.suggested() == 4
        page.locator("h1").click()
        page.keyboard.press("Enter")
        page.wait_for_url("**done=rate**")
        assert [review.rating for review in learner.stored().reviews()] == [4]


def test_marks_pressed_faster_than_the_server_answers_all_count(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.ask()
        learner.answer("I am not sure.")
        assert set(learner.marks()) == {"missed"} and learner.suggested() == 1
        learner.page.evaluate("document.querySelectorAll('#points button.made').forEach(button => button.click())")
        assert set(learner.marks()) == {"made"}, "the marks do not show at once"
        learner.settled()
        assert set(learner.marks()) == {"made"} and learner.suggested() == 4
        grade = learner.api(learner.path())["grade"]
        assert {point["status"] for point in grade["points"]} == {"made"} and grade["score"] == 1


def test_a_mark_that_does_not_reach_the_server_is_told(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.forgive("ERR_|Failed to")
        learner.ask()
        learner.answer("I am not sure.")
        app.stop()
        learner.mark(0, "made")
        learner.see("#points [role=alert]", "the mark is not kept")
        app.start()
        learner.mark(0, "made")
        assert learner.marks()[0] == "made" and learner.page.locator("#points [role=alert]").count() == 0


def test_i_do_not_know_hands_in_an_empty_answer(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.ask()
        before = learner.page.url
        learner.page.keyboard.press("Alt+0")
        learner.page.wait_for_url(lambda url: url != before)
        learner.see(".said", "You gave no answer this time.")
        assert learner.suggested() == 1


def test_the_language_switches_in_place_and_keeps_the_words(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        learner.ask()
        page.fill("textarea", "ReLU는 양수에서 기울기가 1이고")
        path = learner.path()
        page.click("header button[name=language]")
        learner.until("() => document.documentElement?.lang === 'en'")
        learner.ready()
        assert learner.path() == path
        assert page.input_value("textarea") == "ReLU는 양수에서 기울기가 1이고"
        assert plain(bank()[QUESTION].question.en) in page.inner_text("h1")
        learner.hand_in()
        # Nothing of it comes back as a draft in either language.
        for language in LANGUAGES:
            learner.stored().set_setting("language", language)
            learner.ask()
            assert page.input_value("textarea") == ""
        for path in ("/practice", "/outline?q=dropout", "/progress", "/settings", f"/questions/{QUESTION}", "/print?topic=foundations", "/packs"):
            learner.open(path)
            before = page.locator("html").get_attribute("lang")
            page.click("header button[name=language]")
            learner.until("before => { const now = document.documentElement?.lang; return now && now !== before; }", before)
            assert page.url == learner.app.url + path


def test_an_exam_reveals_nothing_until_its_end(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        page = learner.page
        learner.open("/practice")
        exam = page.locator("form", has=page.locator("input[value=exam]"))
        exam.locator("input[name=count]").fill("3")
        exam.locator("input[name=minutes]").fill("5")
        exam.locator("button").click()
        keys = []
        for place in (1, 2):
            page.wait_for_url(f"**/practice/*/{place}")
            learner.ready()
            keys.append(page.locator("#answer").get_attribute("data-question"))
            learner.answer("Gradients and layers.")
            assert "/attempts/" not in page.url
            assert plain(model_answer(keys[-1], "en")) not in page.content()
        page.wait_for_url("**/practice/*/3")
        learner.ready()
        assert page.inner_text("#clock").startswith(("4:5", "5:0"))
        page.click("[data-submit]")
        page.wait_for_url("**/end")
        rows = page.locator("ol.results li")
        assert rows.count() == 3
        page.keyboard.press("Enter")
        page.wait_for_url("**/attempts/*")
        assert plain(model_answer(keys[0], "en")) in page.inner_text("[aria-labelledby=model-title]")
        learner.rate(2)
        page.wait_for_url("**/end?done=rate")
        assert rows.first.locator("small").inner_text().endswith("Hard")


def test_when_the_time_of_an_exam_runs_out_the_words_so_far_are_handed_in(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        page.clock.install()
        session = learner.stored().start_session("exam", [QUESTION, "dropout"], time_limit_seconds=60)
        learner.open(f"/practice/{session.id}/1")
        learner.ready()
        page.fill("textarea", "기울기가 줄지 않아서")
        page.clock.run_for(30_000)
        assert page.inner_text("#clock") in ("0:28", "0:29", "0:30")
        assert "late" in (page.locator("#clock").get_attribute("class") or "")
        page.clock.run_for(35_000)
        page.wait_for_url(f"**/practice/{session.id}/end")
        assert [attempt.text for attempt in learner.stored().attempts_in(session.id)] == ["기울기가 줄지 않아서"]
        learner.see("ol.results small", "답 없음")


def test_an_exam_that_ends_on_an_untouched_question_stores_nothing_for_it(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        page.clock.install()
        session = learner.stored().start_session("exam", [QUESTION], time_limit_seconds=60)
        learner.open(f"/practice/{session.id}/1")
        learner.ready()
        page.clock.run_for(65_000)
        page.wait_for_url(f"**/practice/{session.id}/end")
        assert not list(learner.stored().attempts_in(session.id))


def test_formulas_are_set_and_letters_come_from_the_shipped_font(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "ko") as learner:
        page = learner.page
        learner.open(f"/questions/{QUESTION}")
        learner.until("() => document.querySelector('.math') && [...document.querySelectorAll('.math')].every(span => span.querySelector('.katex-html'))")
        assert page.locator(".katex-error").count() == 0
        faces = page.evaluate("document.fonts.ready.then(() => [...document.fonts].filter(face => face.status === 'loaded').map(face => face.family))")
        assert "Pretendard Variable" in {name.strip('"') for name in faces}
        client = page.context.new_cdp_session(page)
        client.send("DOM.enable")
        client.send("CSS.enable")
        root = client.send("DOM.getDocument")["root"]["nodeId"]
        heading = client.send("DOM.querySelector", {"nodeId": root, "selector": "h1"})["nodeId"]
        fonts = client.send("CSS.getPlatformFontsForNode", {"nodeId": heading})["fonts"]
        assert {font["familyName"] for font in fonts} == {"Pretendard Variable"}, "a letter of the heading came from the machine's own fonts"
        assert all(font["isCustomFont"] for font in fonts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_formula_of_the_bank_is_set_without_an_error(app: Any, chromium: Any, language: str) -> None:
    with at_the_browser(app, chromium, language) as learner:
        learner.open("/print")
        learner.until("() => { const all = [...document.querySelectorAll('.math')]; return all.length > 50 && all.every(span => span.querySelector('.katex-html, .katex-error')); }")
        wrong = learner.page.locator(".katex-error").evaluate_all("found => found.map(span => span.title)")
        assert not wrong


def test_without_scripts_one_can_answer_and_rate(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, None, java_script_enabled=False, locale="en-GB") as learner:
        page = learner.page
        learner.open("/")
        page.click("form.stack button.go")
        page.wait_for_url("**/practice")
        page.click("form:has(input[value=due]) button")
        page.wait_for_url("**/practice/*/1")
        learner.see("noscript .hint, p.hint", "Scripts are off")
        page.fill("textarea[name=text]", FIRST_WORDS["en"])
        page.click("[data-submit]")
        page.wait_for_url("**/attempts/*")
        assert page.locator(".said mark").count() >= 1
        page.locator("#points li").first.locator("button.backwards").click()
        page.wait_for_url("**done=mark*")
        assert page.locator("#points li").first.locator("button.backwards").get_attribute("aria-pressed") == "true"
        page.click("button[name=rating][value='2']")
        page.wait_for_url("**/practice/*/2?done=rate")
        assert [review.rating for review in learner.stored().reviews()] == [2]


def test_two_tabs_answer_and_rate_at_once_and_nothing_is_lost(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        session = learner.ask(QUESTION, "dropout", mode="list")
        other = Learner(app, learner.context, "en")
        other.open(f"/practice/{session}/2")
        other.ready()
        learner.page.fill("textarea", OWN_WORDS["en"])
        other.page.fill("textarea", "Dropout switches off random units while training.")
        urls = [tab.page.url for tab in (learner, other)]
        for tab in (learner, other):
            # A click that does not wait, so that both requests are under way together.
            tab.page.evaluate("document.querySelector('[data-submit]').click()")
        for tab, url in zip((learner, other), urls, strict=True):
            tab.page.wait_for_url(lambda now, url=url: now != url)
        for tab in (learner, other):
            tab.page.evaluate("document.querySelector('button[name=rating][value=\"3\"]').click()")
        for tab in (learner, other):
            tab.page.wait_for_url("**done=rate**")
        assert sorted(attempt.question for attempt in learner.stored().attempts_in(session)) == ["dropout", QUESTION]
        assert sorted(review.question for review in learner.stored().reviews()) == ["dropout", QUESTION]


def test_rating_the_same_answer_in_two_tabs_counts_once(app: Any, chromium: Any) -> None:
    with at_the_browser(app, chromium, "en") as learner:
        learner.ask()
        learner.answer(OWN_WORDS["en"])
        other = Learner(app, learner.context, "en")
        other.page.goto(learner.page.url)
        learner.rate(3)
        other.rate(2)
        cards = learner.stored().cards()
        assert cards[QUESTION].reviews == 1
        learner.open("/progress")
        assert learner.page.locator("dl.figures dd").all_inner_texts()[:2] == ["1", "1"]


def test_the_watch_over_these_tests_notices_what_a_page_must_not_do(app: Any, chromium: Any) -> None:
    for script in ("fetch('https://example.org/').catch(() => 0)", "console.error('wrong')", "new Promise((done) => { setTimeout(done, 100); setTimeout(() => { throw new Error('thrown') }) })"):
        with pytest.raises(AssertionError, match="left trouble behind"), at_the_browser(app, chromium, "en") as learner:
            learner.open("/outline")
            learner.page.evaluate(script)
            learner.open("/progress")
