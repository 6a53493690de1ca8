"""The live view of a run over hosts: a row for each running host, and the whole run below; what ended scrolls up."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from puller.cli.progress.drawing import ASCII, UNICODE, cut_middle, whole_seconds
from puller.cli.progress.fleet_lines import FleetLines
from puller.cli.progress.fleet_state import FleetState, HostProgress
from puller.cli.progress.lines import QuietStream
from puller.events import Event, Finished
from puller.fleet.model import FleetEvent, HostStarted
from puller.model import Status
from puller.model.hosts import HostState
from puller.report.hosts import HOST_ORDER, state_words
from puller.text import clean, format_bytes

_FRAMES_PER_SECOND = 4
_LONGEST_NAME, _BAR = 30, 20
_COLORS = dict(zip(HOST_ORDER, ("red", "yellow", "yellow", "yellow", "cyan", "dim", "green"), strict=True))


@contextmanager
def show_fleet(
    stream: QuietStream, state: FleetState, lines: FleetLines
) -> Iterator[tuple[Callable[[Event], object], Callable[[FleetEvent], object]]]:
    """Show a run on a terminal; yields what is called for each event after the state has taken it."""
    console = Console(file=cast("TextIO", stream), force_terminal=True, highlight=False, markup=False, emoji=False)
    view = _View(state, unicode=stream.encoding.lower().startswith("utf"))
    with Live(view, console=console, refresh_per_second=_FRAMES_PER_SECOND, transient=True, redirect_stderr=False,
              redirect_stdout=False) as live:  # fmt: skip

        def ended(event: Event) -> None:
            if isinstance(event, Finished) and event.outcome.status is Status.FAILED:
                live.console.print(Text(lines.line(event) or "", "red"), soft_wrap=True)

        def ended_host(event: FleetEvent) -> None:
            if not isinstance(event, HostStarted):
                line, result = lines.fleet_line(event), getattr(event, "result", None)
                live.console.print(Text(line, _COLORS[result.state] if result else "red"), soft_wrap=True)

        yield ended, ended_host


class _View:
    """Draws the state whenever rich asks for it."""

    def __init__(self, state: FleetState, *, unicode: bool) -> None:
        self._state, self._glyphs = state, UNICODE if unicode else ASCII

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._state.lock:
            lines = [*self._lines(options.max_width - 1, max(3, console.size.height - 2))]
        for line in lines:
            line.truncate(max(1, options.max_width - 1))
            yield line

    def _lines(self, width: int, height: int) -> Iterator[Text]:
        state, now, glyphs = self._state, self._state.clock(), self._glyphs
        pauses = [(clean(name), ends - now, why) for name, (ends, why) in state.pauses.items() if ends > now]
        hosts, room = [*state.running.values()], max(1, height - 1 - len(pauses))
        shown = hosts if len(hosts) <= room else sorted(hosts, key=lambda host: not host.pause(now))[: room - 1]
        longest = min(_LONGEST_NAME, max((len(clean(host.name)) for host in shown), default=0))
        frame = glyphs.spinner[int((now - state.began) * _FRAMES_PER_SECOND) % len(glyphs.spinner)]
        for host in shown:
            yield self._row(host, frame, longest, width, now)
        if hidden := len(hosts) - len(shown):
            yield Text(f"{glyphs.ellipsis} and {hidden} more hosts", "dim")
        for name, seconds, why in pauses:
            yield Text(f"{glyphs.pause} {name}  paused for {whole_seconds(math.ceil(seconds))}: {why}", "yellow")
        yield self._footer(width, now)

    def _row(self, host: HostProgress, frame: str, longest: int, width: int, now: float) -> Text:
        total = host.total or self._state.totals.images
        name = cut_middle(clean(host.name), longest, self._glyphs.ellipsis).ljust(longest)
        pieces: list[str | tuple[str, str]] = [(f"{frame} ", "cyan"), name, "  "]
        if width > longest + _BAR + 50:  # else the words need the room
            full = _BAR * host.done // max(1, total)
            pieces += [(self._glyphs.full * full, "green"), (self._glyphs.empty * (_BAR - full), "bright_black"), "  "]
        pieces.append(f"{host.done:>{len(str(total))}}/{total}" if host.total else "connecting")
        if host.failed:
            pieces.append((f"  {host.failed} failed", "red"))
        if pause := host.pause(now):
            pieces.append((f"  paused for {whole_seconds(math.ceil(pause[0]))}: {pause[1]}", "yellow"))
        elif host.running:
            pieces.append((f"  {len(host.running)} running", "dim"))
            pieces += [(f"  {silence}", "yellow")] if (silence := host.silence(now)) else []
        if host.bytes:
            pieces.append(f"  {format_bytes(host.bytes)}")
        pieces.append((f"  {whole_seconds(int(now - host.began))}", "dim"))
        return Text.assemble(*pieces)

    def _footer(self, width: int, now: float) -> Text:
        state, totals = self._state, self._state.totals
        facts: list[tuple[str, str]] = [(f"{state.ended}/{totals.hosts} hosts", "bold")]
        bad = [each for each in HOST_ORDER if each is not HostState.DONE and state.states[each]]
        facts += [(f"{state.states[each]} {state_words(each)}", _COLORS[each]) for each in bad]
        facts += [(state.wave_words, "")] if state.wave_words else []
        facts += [("halted", "red")] if state.halted else []
        facts += [(f"{state.done}/{totals.hosts * totals.images} images", "")]
        facts += [(f"{state.failed} failed", "red")] if state.failed else []
        if state.bytes:
            rate = state.meter.rate(now)
            facts.append((format_bytes(state.bytes) + (f" {format_bytes(rate)}/s" if rate >= 1 else ""), ""))
        facts += [(f"about {whole_seconds(left)} left", "")] if (left := self._seconds_left(now)) else []
        facts.append((whole_seconds(int(now - state.began)), "dim"))
        while len(facts) > 2 and sum(len(text) + 2 for text, _ in facts) > width:  # noqa: PLR2004 - hosts and time stay
            facts.pop(-2)
        return Text("  ").join(Text(text, style) for text, style in facts)

    def _seconds_left(self, now: float) -> int:
        """Return a forecast from the share of images that are done; 0 before a tenth is, or if a host waits."""
        totals, done = self._state.totals, self._state.done
        total = totals.hosts * totals.images - self._state.lost
        if any(host.pause(now) for host in self._state.running.values()):
            return 0
        if self._state.halted or done * 10 < total or done >= total:
            return 0
        return math.ceil((now - self._state.began) * (total - done) / done)
