"""From replies to figures, and from figures to JSON and a picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rag.evaluate.configuration import Configuration, configurations_of
from rushhour.rag.evaluate.containment import contains
from rushhour.rag.evaluate.dataset import Dataset, Labelled, Text
from rushhour.rag.evaluate.plot import drawn
from rushhour.rag.evaluate.results import Circumstances, Evaluation, Prices, judge
from rushhour.rag.evaluate.run import Reply, Trial

WHERE = Circumstances("local/model", top_k=8, at_once=4, seed=1, prices=Prices(embed=2.0, rerank=1.0))


def judged() -> Evaluation:
    """Judge two configurations over 40 questions: one finds all first, the other half of them second."""
    questions = tuple(Labelled(f"q{n}", "?", {"d0": 1}, ("blue",) if n % 4 == 0 else ()) for n in range(40))
    dataset = Dataset("colours <&>", "test", (Text("d0", "", "blue"), Text("d1", "", "red")), questions)
    first = [Reply(("d0", "d1"), 0.010, True if n % 4 == 0 else None) for n in range(40)]
    second = [
        Reply(("d1", "d0") if n % 2 else ("d0", "d1"), 0.030 + n / 1000, n % 8 == 0 if n % 4 == 0 else None, ("less",))
        for n in range(40)
    ]
    spent: dict[str, dict[str, float]] = {"embed": {"input_tokens": 400}, "rerank": {"calls": 40.0}}
    trials = [Trial(Configuration("fusion", True), tuple(first), spent), Trial(Configuration("rrf"), tuple(second), {})]
    return judge(dataset, trials, WHERE)


def test_figures_of_each_configuration() -> None:
    """Means by hand, the best and the worse one marked, latency and cost of a question."""
    found = judged()
    best, other = found.runs

    assert [run.estimates["mrr@10"].mean for run in found.runs] == [1.0, 0.75]
    assert [run.estimates["recall@1"].mean for run in found.runs] == [1.0, 0.5]
    assert [run.estimates["answer@8"].mean for run in found.runs] == [1.0, 0.5]
    assert (best.estimates["mrr@10"].best, other.estimates["mrr@10"].worse) == (True, True)
    assert [run.estimates["recall@5"].best for run in found.runs] == [True, True]
    assert [other.p50_s, other.p95_s] == pytest.approx([0.0495, 0.06705])
    assert best.cost_usd == pytest.approx(10 * 2 / 1e6 + 1 / 1e3)
    assert (best.degraded, other.degraded) == ({}, {"less": 40})
    assert found.answerable == 10


def test_json_holds_the_figures_by_name() -> None:
    """Data set and runs at the top, and nothing beside them."""
    told = judged().as_json()

    assert set(told) == {"dataset", "runs"}
    assert told["dataset"] == "colours <&>"
    names = {"name", "recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10", "interval_95", "cost_usd_per_question"}
    assert all(names <= set(run) for run in told["runs"])
    assert told["runs"][0]["name"] == "fusion+rerank"
    low, high = told["runs"][1]["interval_95"]["mrr@10"]
    assert low < told["runs"][1]["mrr@10"] < high
    assert "mrr@10" in told["runs"][1]["worse_than_best"]


@pytest.mark.parametrize("page", [False, True])
def test_the_picture_is_whole_and_fetches_nothing(page: bool) -> None:
    """Every configuration and metric is written there, escaped; no address but that of the format's name."""
    text = drawn(judged(), page=page)
    if not page:
        ElementTree.fromstring(text)  # noqa: S314  # our own

    assert all(word in text for word in ("fusion+rerank", "rrf", "mrr@10", "answer@8", "colours &lt;&amp;&gt;"))
    assert text.count("http") == 1
    assert text.count("<circle") == 12


def test_names_become_configurations() -> None:
    """In the order given, each once, whatever the spaces."""
    assert configurations_of("rrf, fusion+rerank,rrf, fusion + rerank") == (
        Configuration("rrf"),
        Configuration("fusion", rerank=True),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [("fusionn", "did you mean fusion?"), ("bm25,dense", "choose from"), (" , ", "names nothing")],
)
def test_a_name_that_is_none_is_told_what_it_may_mean(text: str, words: str) -> None:
    """The remedy stands in the message."""
    with pytest.raises(InvalidRequest, match=words.replace("?", r"\?")):
        configurations_of(text)


@pytest.mark.parametrize(
    ("answer", "text", "held"),
    [
        ("the Eiffel Tower", "It is an EIFFEL  tower, they say.", True),
        ("30", "In 1930 nobody knew.", False),
        ("$3,500", "They paid $3,500.", True),
        ("naïve", "A nai\u0308ve idea.", True),
        ("+", "a + b", True),
        ("+", "a and b", False),
        ("blue sky", "sky blue", False),
    ],
)
def test_an_answer_counts_word_by_word(answer: str, text: str, held: bool) -> None:
    """Case, punctuation, articles and spelling of Unicode play no part; parts of words do not count."""
    assert contains([text], [answer]) is held
