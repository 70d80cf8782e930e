"""Reading SDF3's XML."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasnas.cim_estimator.schedule import guarantee, read_sdf3, sdf3
from hasnas.errors import BadInputError

GOOD = """<?xml version="1.0"?>
<sdf3 type="sdf" version="1.0"><applicationGraph name="app"><sdf name="two" type="Two">
  <actor name="a" type="A"><port name="out" type="out" rate="3"/><port name="in" type="in" rate="3"/></actor>
  <actor name="b" type="B"><port name="in" type="in" rate="2"/><port name="out" type="out" rate="2"/></actor>
  <channel name="ab" srcActor="a" srcPort="out" dstActor="b" dstPort="in"/>
  <channel name="ba" srcActor="b" srcPort="out" dstActor="a" dstPort="in" initialTokens="6"/>
</sdf><sdfProperties>
  <actorProperties actor="a"><processor type="slow"><executionTime time="90"/></processor>
    <processor type="fast" default="true"><executionTime time="10"/></processor></actorProperties>
  <actorProperties actor="b"><processor type="slow"><executionTime time="5"/></processor></actorProperties>
</sdfProperties></applicationGraph></sdf3>
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.slow
def test_rates_tokens_and_default_processors(tmp_path: Path) -> None:
    graph = read_sdf3(write(tmp_path / "g.xml", GOOD))
    assert graph.repetition_vector == {"a": 2, "b": 3}
    assert [actor.execution_time for actor in graph.actors] == [10, 5]
    assert [channel.initial_tokens for channel in graph.channels] == [0, 6]
    assert guarantee(graph).max_cycle_ratio == 15  # both firings of a at once, then all three of b


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('rate="3"', 'rate="1,2"', "rate of <port name='out'> is '1,2'"),
        ('rate="3"', 'rate="0"', "at least 1 token"),
        ('srcPort="out" dstActor="b"', 'srcPort="wrong" dstActor="b"', "has no port 'wrong' of type out"),
        ('initialTokens="6"', 'initialTokens="-6"', "initialTokens"),
        ('time="10"', 'time="ten"', "takes 'ten'"),
        ('<executionTime time="10"/>', "", "no processor with an executionTime"),
        ('<actorProperties actor="b">', '<actorProperties actor="c">', "actor 'b' has no executionTime"),
        ("</sdf3>", "", "is not valid XML"),
        ("sdf>", "csdf>", "not valid XML"),
        ('<sdf name="two" type="Two">', '<!DOCTYPE x><sdf name="two" type="Two">', "document type"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path / "g.xml", GOOD.replace(old, new, 1))
    with pytest.raises(BadInputError, match=message) as caught:
        read_sdf3(path)
    assert "\n" not in str(caught.value)
    assert "g.xml" in str(caught.value)


def test_the_last_default_processor_holds_as_in_sdf3(tmp_path: Path) -> None:
    twice = GOOD.replace('<processor type="slow">', '<processor type="slow" default="true">')
    graph = read_sdf3(write(tmp_path / "g.xml", twice))
    assert [actor.execution_time for actor in graph.actors] == [10, 5]


def test_other_kinds_of_graphs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no <applicationGraph> with an <sdf>"):
        read_sdf3(write(tmp_path / "g.xml", "<sdf3><architectureGraph/></sdf3>"))


def test_a_file_may_be_as_long_as_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "g.xml", GOOD)
    monkeypatch.setattr(sdf3, "MOST_CHARACTERS", len(GOOD))
    assert len(read_sdf3(path).actors) == 2
    monkeypatch.setattr(sdf3, "MOST_CHARACTERS", len(GOOD) - 1)
    with pytest.raises(BadInputError, match="is it the right file"):
        read_sdf3(path)
