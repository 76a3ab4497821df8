"""One run: starts everything, checks every contestant, measures in rounds, ends everything.

Invariant: rounds go A B C, A B C, …, so that a slow minute of the machine affects all alike; however the run
ends, nothing it started outlives it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import procfs, upstream
from bench.contestants import CONTESTANTS, Contestant, Gateway, Nginx, NginxAgain, Setup
from bench.keyserver import KeyServer
from bench.options import Options
from bench.parts import Parts, count
from bench.processes import BenchError, free_port, on_cpus, split_cpus
from bench.report import Entry, Outcome
from bench.tokens import Mint
from bench.works import WORKS, Arena, Work

Say = Callable[[str], None]


def run(options: Options, say: Say, *, kinds: Sequence[type[Contestant]] = CONTESTANTS) -> list[Outcome]:
    """Run every work of the options, each with freshly started contestants. Raises BenchError."""
    if options.gateway is not None:
        Gateway.use(options.gateway)
    proxy_cpus, load_cpus = split_cpus(sorted(os.sched_getaffinity(0)))
    if proxy_cpus == load_cpus:
        say("only one CPU: proxy and load share it, so the figures mean less")
    with ExitStack() as stack:
        directory = _directory(stack, options, say)
        # The key endpoint's threads, and this one, must not run on the proxy's CPU.
        stack.enter_context(on_cpus(load_cpus))
        mint = Mint()
        arena = Arena(
            options=options,
            mint=mint,
            token=mint.valid(),
            key_server=stack.enter_context(KeyServer(mint.key_set())),
            upstream_port=upstream.start(stack, directory / "upstream", load_cpus),
            directory=directory,
            proxy_cpus=proxy_cpus,
            load_cpus=load_cpus,
            resources=stack,
        )
        (directory / "public.pem").write_bytes(mint.public_pem())
        chosen = [kind for kind in kinds if kind.name in options.only]
        return [_measure(WORKS[name](), arena, chosen, say) for name in options.works]


def _directory(stack: ExitStack, options: Options, say: Say) -> Path:
    if options.keep:
        kept = Path(tempfile.mkdtemp(prefix="gateway-bench-"))
        say(f"configurations and logs are in {kept}")
        return kept
    # ignore_cleanup_errors: a server that is killed late may still write a log line.
    temporary = tempfile.TemporaryDirectory(prefix="gateway-bench-", ignore_cleanup_errors=True)
    return Path(stack.enter_context(temporary))


def _measure(work: Work, arena: Arena, kinds: Sequence[type[Contestant]], say: Say) -> Outcome:
    """Measure one work on all contestants; one that fails has the reason in its entry and is dropped."""
    say(f"{work.title}: preparing")
    work.prepare(arena)
    rounds = min(arena.options.rounds, work.most_rounds or arena.options.rounds)
    outcome = Outcome(work.name, work.title, work.columns, work.headline, rounds, work.goals, tall=work.tall)
    with ExitStack() as stack:
        running = _start_all(stack, work, arena, kinds, outcome, say)
        for number in range(rounds):
            for contestant, entry in running:
                if entry.failed is not None:
                    continue
                try:
                    entry.rounds.append(work.measure(arena, contestant, number))
                except BenchError as error:
                    _fail(contestant, entry, str(error), say)
                except ProcessLookupError:
                    _fail(contestant, entry, f"it ended during the round: {contestant.last_words()}", say)
            if any(entry.failed is None for _, entry in running):
                say(f"{work.title}: round {number + 1} of {rounds}")
        if arena.options.parts and work.controlled:
            say(f"{work.title}: counting system calls and instructions")
            for contestant, entry in running:
                if entry.failed is None and entry is not outcome.again:
                    entry.parts = _parts(work, arena, contestant, rounds)
    return outcome


def _parts(work: Work, arena: Arena, contestant: Contestant, rounds: int) -> Parts:
    """Count what a request consists of, in rounds that are not timed."""

    def load(number: int) -> float:
        return work.measure(arena, contestant, rounds + number)["requests"]

    try:
        return count(procfs.tree(contestant.pid), arena.directory, load)
    except BenchError as error:
        return Parts(missing={"the rest": str(error)})


def _start_all(
    stack: ExitStack,
    work: Work,
    arena: Arena,
    kinds: Sequence[type[Contestant]],
    outcome: Outcome,
    say: Say,
) -> Sequence[tuple[Contestant, Entry]]:
    running = []
    # The control comes last, so that a whole round lies between it and the first nginx.
    controls: list[type[Contestant]] = [NginxAgain] if work.controlled and Nginx in kinds else []
    for kind in [*kinds, *controls]:
        absent = kind.missing()
        if absent is not None:
            say(f"{kind.name} left out: {absent}")
            if kind is not NginxAgain:
                outcome.left_out[kind.name] = absent
            continue
        contestant = kind(_setup(kind.name, work, arena))
        stack.callback(contestant.stop)
        unfit = work.unfit(contestant)
        if unfit is not None:
            outcome.left_out[kind.name] = unfit
            continue
        entry = Entry(kind.name, kind.title, kind.version(), sorted(kind.cannot_check))
        if kind is NginxAgain:
            outcome.again = entry
        else:
            outcome.entries.append(entry)
        try:
            _admit(contestant, work, arena)
        except BenchError as error:
            _fail(contestant, entry, str(error), say)
        else:
            running.append((contestant, entry))
    return running


def _admit(contestant: Contestant, work: Work, arena: Arena) -> None:
    """Start, check and warm up a contestant. Raises BenchError."""
    contestant.start(arena.proxy_cpus)
    contestant.wait_ready(arena.token)
    wrong = contestant.check(arena.mint)
    if wrong:
        raise BenchError(f"{contestant.name} fails its check: {'; '.join(wrong)}")
    work.warm_up(arena, contestant)


def _fail(contestant: Contestant, entry: Entry, why: str, say: Say) -> None:
    entry.failed = why
    say(f"{contestant.name} is not measured further: {why}")
    contestant.stop()


def _setup(name: str, work: Work, arena: Arena) -> Setup:
    return Setup(
        directory=arena.directory / f"{work.name}-{name}",
        port=free_port(),
        probe_port=free_port(),
        upstream_port=work.upstream_port(arena),
        jwks_url=arena.key_server.url,
        public_key_file=arena.directory / "public.pem",
        asked=work.asked,
    )
