"""When a question comes up again: FSRS from reviews alone, and the interview as a ceiling."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import fsrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from viva.study.cards import Card, Rating, Review
from viva.study.schedule import (
    LEARNING_STEPS,
    Horizon,
    effective_due,
    intervals,
    is_due,
    rebuild,
    review_card,
    to_fsrs,
)
from viva.study.settings import StudySettings

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
keys = st.text("abcdef-가나", min_size=1, max_size=6)
ratings = st.sampled_from(Rating)
retentions = st.sampled_from([0.7, 0.8, 0.9, 0.95])
times = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 10), timezones=st.just(UTC))
reviews = st.lists(st.builds(Review, st.sampled_from(["a", "b", "c"]), ratings, times), max_size=25)


def history(*steps: tuple[Rating, timedelta], question: str = "q", start: datetime = NOW) -> Card:
    """The card after ratings, each given so long after the one before."""
    card, at = None, start
    for rating, later in steps:
        at += later
        card = review_card(card, Review(question, rating, at))
    assert card is not None
    return card


@st.composite
def cards(draw: st.DrawFn) -> Card:
    """A card with one to six reviews, each when it was due or some days off."""
    question, at = draw(keys), draw(times)
    card = None
    for rating in draw(st.lists(ratings, min_size=1, max_size=6)):
        card = review_card(card, Review(question, rating, at))
        at = max(at, card.due + draw(st.integers(-3, 5)) * DAY)
    assert card is not None
    return card


@st.composite
def with_interview(draw: st.DrawFn) -> tuple[Card, StudySettings, datetime]:
    """A card, an interview some days after its last review, and a now between the two."""
    card = draw(cards())
    assert card.last_review is not None
    offset = draw(st.sampled_from([-480, 0, 330, 540]))
    last = StudySettings(utc_offset_minutes=offset).day_of(card.last_review)
    ahead = draw(st.integers(0, 60))
    begun = draw(st.none() | st.integers(0, 40).map(lambda days: last - days * DAY))
    settings = StudySettings(interview=last + ahead * DAY, utc_offset_minutes=offset, begun=begun)
    return card, settings, card.last_review + draw(st.floats(0, max(0, ahead - 1))) * DAY


@st.composite
def capped(draw: st.DrawFn) -> tuple[Card, StudySettings, datetime]:
    """As :func:`with_interview`, of a card that FSRS would leave until long after the interview."""
    card = draw(cards())
    assert card.last_review is not None
    settings = StudySettings(interview=StudySettings().day_of(card.last_review) + draw(st.integers(2, 60)) * DAY)
    card = replace(card, due=card.due + 200 * DAY)
    assume(effective_due(card, settings, card.last_review) != card.due)
    return card, settings, card.last_review


# --- FSRS from reviews alone ---


@given(reviews, retentions)
def test_rebuilding_from_reviews_is_folding_them_in_order_of_time(given_reviews: list[Review], retention: float) -> None:
    folded: dict[str, Card] = {}
    for review in sorted(given_reviews, key=lambda review: review.at):
        folded[review.question] = review_card(folded.get(review.question), review, retention)
    assert rebuild(given_reviews, retention) == folded


@given(reviews, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(given_reviews: list[Review], order: random.Random) -> None:
    assume(len({review.at for review in given_reviews}) == len(given_reviews))
    shuffled = list(given_reviews)
    order.shuffle(shuffled)
    assert rebuild(shuffled) == rebuild(given_reviews)


def test_reviews_of_the_same_time_count_in_the_order_they_came() -> None:
    first, second = Review("q", Rating.again, NOW), Review("q", Rating.easy, NOW)
    assert rebuild([first, second]) == {"q": review_card(review_card(None, first), second)}
    assert rebuild([second, first]) != rebuild([first, second])


@given(reviews, retentions)
def test_a_card_is_what_the_fsrs_package_says(given_reviews: list[Review], retention: float) -> None:
    scheduler = fsrs.Scheduler(desired_retention=retention, learning_steps=LEARNING_STEPS, relearning_steps=LEARNING_STEPS, enable_fuzzing=False)
    peers: dict[str, fsrs.Card] = {}
    for review in sorted(given_reviews, key=lambda review: review.at):
        peer = peers.get(review.question) or fsrs.Card(card_id=0, due=review.at)
        peers[review.question], _ = scheduler.review_card(peer, fsrs.Rating(review.rating), review.at)
    built = rebuild(given_reviews, retention)
    assert {question: to_fsrs(card) for question, card in built.items()} == peers
    assert Counter({question: card.reviews for question, card in built.items()}) == Counter(r.question for r in given_reviews)


def test_forgetting_a_known_card_is_a_lapse_and_stumbling_while_learning_is_none() -> None:
    stumbled = history((Rating.again, 0 * DAY), (Rating.again, timedelta(minutes=1)))
    assert (stumbled.reviews, stumbled.lapses) == (2, 0)
    forgotten = history((Rating.easy, 0 * DAY), (Rating.again, 9 * DAY), (Rating.again, timedelta(minutes=10)))
    assert (forgotten.reviews, forgotten.lapses, forgotten.state) == (3, 1, 3)


def test_a_clock_set_back_leaves_a_card_that_is_not_due_in_the_past() -> None:
    card = history((Rating.easy, 0 * DAY))
    after = review_card(card, Review("q", Rating.good, NOW - 30 * DAY))
    assert after.last_review == NOW
    assert after.due > NOW


def test_a_review_may_be_written_in_any_zone_but_not_without_one() -> None:
    korea = NOW.astimezone(timezone(timedelta(hours=9)))
    assert review_card(None, Review("q", Rating.good, korea)) == review_card(None, Review("q", Rating.good, NOW))
    with pytest.raises(ValueError, match="no time zone"):
        review_card(None, Review("q", Rating.good, NOW.replace(tzinfo=None)))
    with pytest.raises(ValueError, match="no time zone"):
        rebuild([Review("q", Rating.good, NOW), Review("p", Rating.good, NOW.replace(tzinfo=None))])


def test_a_review_of_another_question_is_refused() -> None:
    with pytest.raises(ValueError, match="a review of 'p' cannot change the card of 'q'"):
        review_card(history((Rating.good, 0 * DAY)), Review("p", Rating.good, NOW))


# --- the interview ---


@given(with_interview())
def test_nothing_comes_up_later_than_fsrs_says(case: tuple[Card, StudySettings, datetime]) -> None:
    card, settings, now = case
    assert effective_due(card, settings, now) <= card.due


@given(cards(), st.integers(8, 60), st.sampled_from([-480, 0, 540]))
def test_a_question_last_answered_before_the_final_stretch_comes_up_in_it(card: Card, ahead: int, offset: int) -> None:
    assert card.last_review is not None
    plain = StudySettings(utc_offset_minutes=offset)
    settings = replace(plain, interview=plain.day_of(card.last_review) + ahead * DAY)
    due = effective_due(card, settings, card.last_review)
    assert settings.interview is not None
    assert plain.day_of(due) <= settings.interview - DAY
    far = replace(card, due=card.due + 1000 * DAY)
    stretch = range(1, settings.final_days + 1)
    assert (settings.interview - plain.day_of(effective_due(far, settings, card.last_review))).days in stretch


@given(capped())
def test_a_capped_question_comes_up_after_its_last_review_and_before_the_interview(
    case: tuple[Card, StudySettings, datetime],
) -> None:
    card, settings, now = case
    due = effective_due(card, settings, now)
    assert card.last_review is not None and settings.interview is not None
    assert settings.day_of(card.last_review) < settings.day_of(due) < settings.interview


@given(with_interview())
def test_a_slot_stays_where_it_is_while_the_days_go_by(case: tuple[Card, StudySettings, datetime]) -> None:
    card, settings, now = case
    assert card.last_review is not None
    assert effective_due(card, settings, now) == effective_due(card, settings, card.last_review)


@given(with_interview(), st.integers(0, 100))
def test_a_later_fsrs_due_never_makes_it_come_up_earlier(case: tuple[Card, StudySettings, datetime], more: int) -> None:
    card, settings, now = case
    later = replace(card, due=card.due + more * DAY)
    assert effective_due(later, settings, now) >= effective_due(card, settings, now)


@given(capped(), st.integers(0, 12))
def test_when_everything_due_is_answered_each_question_has_its_last_round_only_once(
    case: tuple[Card, StudySettings, datetime], hour: int
) -> None:
    """Answered *easy* whenever it comes up, a capped question comes up once and then not again before the interview."""
    card, settings, now = case
    at = effective_due(card, settings, now) + timedelta(hours=hour)
    after = review_card(card, Review(card.question, Rating.easy, at))
    assert effective_due(after, settings, after.last_review or now) == after.due


@given(st.integers(3, 20), keys)
def test_a_short_preparation_keeps_its_last_rounds_to_its_last_third(days: int, question: str) -> None:
    interview = (NOW + days * DAY).date()
    settings = StudySettings(interview=interview, begun=NOW.date())
    card = history((Rating.easy, 0 * DAY), (Rating.easy, timedelta(hours=1)), question=question)
    card = replace(card, due=card.due + 90 * DAY)
    assert 1 <= (interview - settings.day_of(effective_due(card, settings, NOW))).days <= max(1, days // 3)


@given(cards(), st.integers(1, 400))
def test_after_the_interview_fsrs_alone_decides(card: Card, after: int) -> None:
    assert card.last_review is not None
    settings = StudySettings(interview=card.last_review.date() + 10 * DAY)
    over = card.last_review + (10 + after) * DAY + timedelta(hours=4)
    assert effective_due(card, settings, over) == card.due
    assert effective_due(card, StudySettings(), NOW) == card.due


def test_what_was_left_undone_is_still_due_on_the_day_of_the_interview() -> None:
    card = history((Rating.easy, 0 * DAY), (Rating.easy, 9 * DAY))
    interview = (NOW + 20 * DAY).date()
    settings = StudySettings(interview=interview)
    assert is_due(card, settings, NOW + 20 * DAY)
    assert not is_due(card, settings, NOW + 21 * DAY)


def test_a_question_met_once_inside_the_final_stretch_still_comes_round() -> None:
    settings = StudySettings(interview=(NOW + 5 * DAY).date())
    for number in range(30):
        card = history((Rating.easy, 0 * DAY), question=f"q-{number}")
        assert card.due > NOW + 5 * DAY
        assert (NOW + DAY).date() <= settings.day_of(effective_due(card, settings, NOW)) <= (NOW + 4 * DAY).date()


def test_the_round_that_is_owed_lies_in_the_last_third_of_what_was_left() -> None:
    settings = StudySettings(interview=(NOW + 6 * DAY).date())
    days: Counter[date] = Counter()
    for number in range(200):
        once = history((Rating.easy, 0 * DAY), question=f"q-{number}")
        if effective_due(replace(once, reviews=2), settings, NOW) == once.due:  # its slot is over, or today
            days[settings.day_of(effective_due(once, settings, NOW))] += 1
    assert set(days) == {(NOW + 4 * DAY).date(), (NOW + 5 * DAY).date()}


def test_met_on_the_eve_of_the_interview_it_does_not_come_round_any_more() -> None:
    card = history((Rating.easy, 0 * DAY))
    assert effective_due(card, StudySettings(interview=(NOW + DAY).date()), NOW) == card.due
    assert effective_due(card, StudySettings(interview=NOW.date()), NOW) == card.due


def test_the_last_rounds_are_spread_evenly_over_the_final_stretch() -> None:
    settings = StudySettings(interview=(NOW + 40 * DAY).date())
    known = [history((Rating.easy, 0 * DAY), (Rating.easy, 9 * DAY), question=f"question-{n}") for n in range(700)]
    rounds = Counter(settings.day_of(effective_due(replace(card, due=card.due + 90 * DAY), settings, NOW)) for card in known)
    assert len(rounds) == 7
    assert min(rounds.values()) > 60 and max(rounds.values()) < 140


# --- what is due today, and the buttons ---


def test_a_known_question_is_due_from_the_start_of_its_day_and_a_learning_one_to_the_minute() -> None:
    settings = StudySettings(utc_offset_minutes=540)
    known = history((Rating.easy, 0 * DAY))
    assert known.state == 2
    start = settings.start_of(settings.day_of(known.due))
    assert is_due(known, settings, start)
    assert not is_due(known, settings, start - timedelta(seconds=1))
    learning = history((Rating.again, 0 * DAY))
    assert learning.state == 1
    assert is_due(learning, settings, learning.due)
    assert not is_due(learning, settings, learning.due - timedelta(seconds=1))


@given(st.none() | cards(), st.none() | st.integers(0, 40), retentions)
def test_a_better_rating_never_brings_a_question_back_sooner(card: Card | None, ahead: int | None, retention: float) -> None:
    now = card.due if card else NOW
    settings = StudySettings(retention=retention, interview=None if ahead is None else now.date() + ahead * DAY)
    spans = intervals(card, card.question if card else "q", now, settings)
    assert list(spans) == list(Rating)
    assert list(spans.values()) == sorted(spans.values())
    assert all(span > timedelta(0) for span in spans.values())


@given(cards(), st.sampled_from(Rating), st.integers(1, 40))
def test_a_button_says_what_pressing_it_does(card: Card, rating: Rating, ahead: int) -> None:
    now = card.due
    settings = StudySettings(interview=now.date() + ahead * DAY)
    pressed = review_card(card, Review(card.question, rating, now), settings.retention)
    assert now + intervals(card, card.question, now, settings)[rating] == Horizon(settings, now).due(pressed)


def test_the_buttons_of_a_question_met_for_the_first_time() -> None:
    spans = intervals(None, "q", NOW, StudySettings())
    assert spans[Rating.again] == timedelta(minutes=10)
    assert spans[Rating.hard] == timedelta(minutes=15)
    assert spans[Rating.good] == 2 * DAY
    assert spans[Rating.easy] == 8 * DAY
