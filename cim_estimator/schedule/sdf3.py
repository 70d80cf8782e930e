"""Dataflow graphs from the XML files of the SDF3 tools (Stuijk, Geilen & Basten, "SDF3: SDF For Free", ACSD 2006)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from hasnas.errors import BadInputError
from hasnas.files import read_text

from .dataflow import Actor, Channel, DataflowGraph

MOST_CHARACTERS = 20_000_000


def read_sdf3(path: Path | str) -> DataflowGraph:
    """The synchronous dataflow graph in an SDF3 file; execution times are those of each actor's default processor.

    Raises:
        BadInputError: if the file cannot be read, is not XML, declares a document type (which could make it explode),
            or holds no synchronous dataflow graph.
    """
    text = read_text(path)
    if len(text) > MOST_CHARACTERS:
        raise BadInputError(f"{path} has {len(text):,} characters, over {MOST_CHARACTERS:,}; is it the right file?")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadInputError(f"{path} declares a document type or entities; remove them")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise BadInputError(f"{path} is not valid XML ({error}); is it complete?") from error
    application = root.find("applicationGraph")
    graph = None if application is None else application.find("sdf")
    if application is None or graph is None:
        raise BadInputError(f"{path} holds no <applicationGraph> with an <sdf>; other kinds of graphs are not read")
    return _Reader(str(path), graph, application).graph()


class _Reader:
    """One file; `path` names it in messages."""

    def __init__(self, path: str, graph: ElementTree.Element, application: ElementTree.Element) -> None:
        self.path, self.root, self.application = path, graph, application

    def graph(self) -> DataflowGraph:
        times = dict(self._time(item) for item in self.application.iterfind("sdfProperties/actorProperties"))
        rates: dict[tuple[str, str, str], int] = {}
        actors = []
        for item in self.root.iterfind("actor"):
            name = self._text(item, "name")
            if name not in times:
                raise BadInputError(f"{self.path}: actor '{name}' has no executionTime; add it to its actorProperties")
            actors.append(Actor(name, times[name]))
            for port in item.iterfind("port"):
                key = name, self._text(port, "name"), self._text(port, "type")
                rates[key] = self._whole(port, "rate")
        channels = tuple(self._channel(item, rates) for item in self.root.iterfind("channel"))
        try:
            return DataflowGraph(tuple(actors), channels, self.root.get("name", "graph"))
        except BadInputError as error:
            raise BadInputError(f"{self.path}: {error}") from error

    def _channel(self, item: ElementTree.Element, rates: dict[tuple[str, str, str], int]) -> Channel:
        name, source, target = (self._text(item, key) for key in ("name", "srcActor", "dstActor"))
        ends = (source, self._text(item, "srcPort"), "out"), (target, self._text(item, "dstPort"), "in")
        for actor, port, way in ends:
            if (actor, port, way) not in rates:
                raise BadInputError(f"{self.path}: channel '{name}': '{actor}' has no port '{port}' of type {way}")
        tokens = self._whole(item, "initialTokens") if item.get("initialTokens") else 0
        return Channel(name, source, target, rates[ends[0]], rates[ends[1]], tokens)

    def _time(self, item: ElementTree.Element) -> tuple[str, float]:
        processors = item.findall("processor")
        defaults = [one for one in processors if one.get("default") == "true"]  # the last one holds, as in SDF3
        chosen = defaults[-1] if defaults else next(iter(processors), None)
        time = None if chosen is None else chosen.find("executionTime")
        name = self._text(item, "actor")
        if time is None:
            raise BadInputError(f"{self.path}: actor '{name}' has no processor with an executionTime; add one")
        try:
            return name, float(self._text(time, "time"))
        except ValueError as error:
            raise BadInputError(f"{self.path}: actor '{name}' takes '{time.get('time')}'; give a number") from error

    def _text(self, item: ElementTree.Element, key: str) -> str:
        value = item.get(key)
        if value is None:
            raise BadInputError(f"{self.path}: <{item.tag} name='{item.get('name', '?')}'> lacks '{key}'")
        return value

    def _whole(self, item: ElementTree.Element, key: str) -> int:
        text = self._text(item, key)
        if not (text.strip().isdecimal() and len(text) < 12):
            raise BadInputError(
                f"{self.path}: {key} of <{item.tag} name='{item.get('name', '?')}'> is '{text[:40]}'; give a whole "
                "number (rates that change from firing to firing are not synchronous dataflow)"
            )
        return int(text)
