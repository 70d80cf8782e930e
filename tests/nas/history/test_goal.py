"""What counts as better, whether networks were trained or only scored."""

from __future__ import annotations

import math
from dataclasses import replace

from hasnas.nas.history.goal import Goal, front, goal_of, merit, rank, score_metrics
from hasnas.nas.history.quality import CLASSIFICATION, REGRESSION
from hasnas.nas.history.trial import Trial
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro


def trial(number: int, metrics: dict[str, float], energy_j: float = 1e-6, state: str = "done") -> Trial:
    costs = {"parameters": 1.0, "memory_bits": 1.0, "area_m2": 1.0, "latency_s": 1.0, "energy_j": energy_j}
    return Trial(number, "search", f"k{number}", (number,), {}, 0, state, metrics, costs)  # type: ignore[arg-type]


def scored(number: int, total: float, energy_j: float = 1e-6) -> Trial:
    return trial(number, score_metrics("depth", total, {"edges": 9.0}), energy_j)


def test_a_score_is_the_merit_where_nothing_was_trained():
    assert merit(score_metrics("depth", 2.0, {"edges": 9.0})) == 2.0
    assert merit({**score_metrics("depth", 2.0, {}), CLASSIFICATION.validation: 0.7}) == 0.7
    assert math.isnan(merit({"score part/edges": 1.0}))


def test_the_front_of_scored_candidates():
    trials = [scored(0, 1.0), scored(1, 3.0, 2e-6), scored(2, 2.0, 3e-6)]
    assert [one.id for one in front(trials)] == [1, 0]


def test_the_front_lists_each_function_once_as_its_best():
    def drawn(number: int, accuracy: float, energy_j: float, *edges: Edge, chip: int = 64) -> Trial:
        found = Architecture((Genotype(4, edges),) * 2, Macro())
        one = trial(number, {CLASSIFICATION.validation: accuracy}, energy_j)
        return replace(one, architecture=found.to_json(), key=found.key, hardware={"crossbar.size": chip})

    chain = Edge(0, 1, "conv3x3"), Edge(1, 3, "identity")
    trials = [
        drawn(0, 0.8, 1e-6, Edge(0, 3, "conv3x3")),
        drawn(1, 0.9, 2e-6, *chain),
        drawn(2, 0.85, 1.5e-6, Edge(0, 3, "conv1x1")),
        drawn(3, 0.7, 0.5e-6, *chain, chip=128),
    ]
    assert len({one.key for one in trials}) == 3
    assert [one.id for one in front(trials)] == [1, 2, 3]


def test_the_smaller_error_is_the_better_one():
    errors = [trial(number, {REGRESSION.validation: error}) for number, error in enumerate((0.3, 0.1, 0.2))]
    assert [one.id for one in sorted(errors, key=rank)] == [1, 2, 0]
    assert [one.id for one in front(errors)] == [1]
    goal = goal_of(errors)
    assert goal == Goal(None, REGRESSION)
    assert (goal.metric, goal.label, goal.sign) == (REGRESSION.validation, "validation mean absolute error", -1)
    assert goal.show(0.125) == "0.125"
    assert merit({REGRESSION.validation: 0.1, REGRESSION.device: 0.2}) == -0.2


def test_a_score_ranks_what_is_then_judged_by_its_error():
    goal = goal_of([scored(0, 1.0), trial(1, {REGRESSION.validation: 0.5})])
    assert goal == Goal("depth", REGRESSION)
    assert (goal.sign, goal.metric) == (1, "score/depth")


def test_nan_and_infinite_scores_never_rank_first():
    trials = [scored(0, math.nan, 1e-9), scored(1, -math.inf, 1e-8), scored(2, -5.0), scored(3, math.inf)]
    assert [one.id for one in sorted(trials, key=rank)] == [2, 0, 1, 3]
    assert front(trials)[0].id == 2
    assert 0 not in [one.id for one in front(trials)]


def test_the_goal_is_read_from_the_trials():
    assert goal_of([scored(0, 1.0)]) == Goal("depth")
    assert goal_of([trial(0, {CLASSIFICATION.validation: 0.5})]) == Goal() == goal_of([])
    assert Goal("depth").show(math.nan) == Goal().show(None) == ""


def test_only_what_was_searched_and_judged_sets_the_goal():
    retrained = replace(trial(0, {"score/other": 1.0}), stage="retrain")
    failed = trial(1, {}, state="failed")
    assert goal_of([retrained, failed, scored(2, 1.0)]) == Goal("depth")
    assert goal_of([retrained, failed]) == Goal()
