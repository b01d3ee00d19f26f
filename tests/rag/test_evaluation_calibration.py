"""From which confidence on answers are given."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import DamagedError, SourceError, UsageError
from rag.evaluation.calibration import (
    Scored,
    apply_threshold,
    calibrate,
    fit_threshold,
    scored_answers,
)
from rag.evaluation.datasets import Question
from rag.evaluation.records import Outcome, Reply
from rag.thresholds import UNFITTED, load_calibration, threshold_of
from tests.full_disk import no_file_beyond

SCORED = st.lists(
    st.builds(Scored, st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.booleans(), st.booleans()),
    min_size=1, max_size=40,
)  # fmt: skip


def outcome(
    number: int, confidence: float | None, short: str, *, answerable: bool = True, lang: str = "en"
) -> Outcome:
    text = "谁烧窑？" if lang == "zh" else "Who fires the kiln?"
    question = Question(f"q{number}", text, lang, ("beech",) if answerable else (),
                        answerable=answerable)  # fmt: skip
    reply = Reply(status="answered", text=short, short=short, confidence=confidence)
    return Outcome(pipeline="waggle", question=question, reply=reply)


def test_a_threshold_by_hand() -> None:
    right = [Scored(s, True, True) for s in (0.9, 0.8, 0.7, 0.5)]
    wrong = [Scored(0.6, True, False), Scored(0.4, False, False), Scored(0.3, False, False)]
    # Given from 0.5 on: 5, of which 1 is wrong.
    fit = fit_threshold([*wrong, *right], 0.2)
    assert fit is not None
    assert (fit.threshold, fit.wrong, fit.given, fit.questions) == (0.5, 0.2, 5 / 7, 7)
    assert fit.balanced == 1
    strict = fit_threshold([*wrong, *right], 0.1)
    assert strict is not None
    assert (strict.threshold, strict.wrong, strict.given) == (0.7, 0, 3 / 7)
    assert strict.balanced == pytest.approx((3 / 5 + 1) / 2)


def test_what_is_withheld_for_another_reason_is_no_wrong_answer() -> None:
    withheld = [Scored(0.8, False, False, given=False)] * 4
    fit = fit_threshold([Scored(0.9, True, True), *withheld, Scored(0.5, True, True)], 0.1)
    assert fit is not None
    assert (fit.threshold, fit.wrong, fit.given, fit.balanced) == (0.5, 0.0, 1 / 3, 1.0)


def test_equals_stand_or_fall_together() -> None:
    some = [Scored(0.9, True, True), Scored(0.5, True, True), Scored(0.5, True, False)]
    fit = fit_threshold(some, 0.2)
    assert fit is not None
    assert fit.threshold == 0.9
    assert fit.balanced is None


def test_no_threshold_where_the_surest_answer_is_wrong() -> None:
    assert fit_threshold([Scored(0.9, True, False), Scored(0.8, True, True)], 0.1) is None
    assert fit_threshold([], 0.1) is None


@given(SCORED, st.floats(0, 1))
def test_the_rate_holds_and_no_lower_threshold_keeps_it(scored: list[Scored], rate: float) -> None:
    fit = fit_threshold(scored, rate)
    shares = {one.score: apply_threshold(scored, one.score).wrong for one in scored}
    kept = [threshold for threshold, wrong in shares.items() if wrong <= rate]
    if fit is None:
        assert all(wrong > rate - 1e-12 for wrong in shares.values())
        return
    assert fit.wrong <= rate + 1e-12
    assert fit.threshold <= min(kept, default=math.inf)
    assert apply_threshold(scored, fit.threshold) == fit


def test_scores_are_told_apart_by_language_and_wrong_ones_by_f1() -> None:
    outcomes = [
        outcome(1, 0.9, "beech"),
        outcome(2, 0.8, "oak"),
        outcome(3, 0.7, "beech", answerable=False),
        outcome(4, None, "beech"),
        outcome(5, 0.6, "beech", lang="zh"),
        outcome(6, 0.5, "beech").model_copy(update={"pipeline": "naive"}),
    ]
    found = scored_answers(outcomes, "short")
    assert found["en"] == (
        Scored(0.9, True, True), Scored(0.8, True, False), Scored(0.7, False, False),
    )  # fmt: skip
    assert found["zh"] == (Scored(0.6, True, True),)


def test_a_threshold_is_kept_by_model_and_language(tmp_path: Path) -> None:
    assert threshold_of(tmp_path, "pupil", "en") == UNFITTED
    english = [outcome(1, 0.9, "beech"), outcome(2, 0.4, "oak")]
    calibrate(tmp_path, "pupil", "run-1", english, "short", 0.1)
    chinese = [outcome(3, 0.25, "beech", lang="zh")]
    calibrate(tmp_path, "pupil", "run-2", chinese, "short", 0.1)
    calibrate(tmp_path, "other", "run-3", [outcome(1, 0.5, "beech")], "short", 0.1)
    assert threshold_of(tmp_path, "pupil", "en") == 0.9
    assert threshold_of(tmp_path, "pupil", "zh") == 0.25
    assert threshold_of(tmp_path, "other", "en") == 0.5
    assert threshold_of(tmp_path, "other", "zh") == UNFITTED
    assert load_calibration(tmp_path).models["pupil"]["zh"].run == "run-2"
    assert [file.name for file in tmp_path.iterdir()] == ["calibration.json"]


def test_what_cannot_be_fitted_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no confidence"):
        calibrate(tmp_path, "pupil", "run-1", [outcome(1, None, "beech")], "short", 0.1)
    both = [outcome(1, 0.9, "oak"), outcome(2, 0.9, "beech", lang="zh")]
    with pytest.raises(UsageError, match="higher --rate"):
        calibrate(tmp_path, "pupil", "run-1", both, "short", 0.1)
    assert not list(tmp_path.iterdir())


def test_where_there_is_no_room_the_thresholds_stay(tmp_path: Path) -> None:
    calibrate(tmp_path, "pupil", "run-1", [outcome(1, 0.9, "beech")], "short", 0.1)
    with no_file_beyond(10), pytest.raises(SourceError, match="cannot be written"):
        calibrate(tmp_path, "pupil", "run-2", [outcome(1, 0.3, "beech")], "short", 0.1)
    assert threshold_of(tmp_path, "pupil", "en") == 0.9
    assert [file.name for file in tmp_path.iterdir()] == ["calibration.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}', json.dumps({"models": {"m": 3}})])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(DamagedError, match="--calibrate"):
        threshold_of(tmp_path, "pupil", "en")
