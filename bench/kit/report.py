"""Tables, for the terminal and for RESULTS.md."""

import datetime
import platform
import re
from math import sqrt
from statistics import median

from .clients import CLIENT_WORKLOADS
from .programs import BENCH, said, versions
from .workloads import FILE_WORKLOADS, IDLE, IDLE_CONNECTIONS, WORKLOADS

ALL_WORKLOADS = [*WORKLOADS, *CLIENT_WORKLOADS, *FILE_WORKLOADS]
RESULTS = BENCH / "RESULTS.md"
# From where on a run is called noisy.
NOISY_SPREAD, NOISY_FOREIGN = 0.10, 0.10
# Most distributions set CONFIG_HZ so.
KERNEL_TICKS_A_SECOND = 250
# The parts of the results, in this order; each kind of run replaces its own.
TITLE, INSTRUCTIONS_TITLE, FILES_TITLE = "# Results", "# Instructions", "# Files"
TITLES = (TITLE, INSTRUCTIONS_TITLE, FILES_TITLE)
ABOUT_CLIENTS = """

For clients the server `floor` is on core 1. They tell what they took themselves (`/proc/self/stat`,
for Go `getrusage`); ureq's has a thread for each task, and *hyper* is hyper-util's pooled client."""


def write(run):
    text = "\n\n".join([heading(run), noise(run), figures(run), *tables(run), idle_table(run), machine(run)])
    keep(re.sub(r"\n{3,}", "\n\n", text).strip())


def keep(text, results=RESULTS, titles=TITLES):
    """Puts a part of the results in the place of what it was."""
    parts = re.split(r"^(?=# )", results.read_text() if results.exists() else "", flags=re.MULTILINE)
    kept = {part.partition("\n")[0]: part.strip() for part in [*parts, text]}
    results.write_text("\n\n".join(kept[title] for title in titles if title in kept) + "\n")
    print(f"\nwritten: {results.name}")


def heading(run):
    return f"""\
{FILES_TITLE if run.files else TITLE}

Written by `bench/run.py`; do not edit. {datetime.date.today()}, rounds: {run.rounds}, of {run.seconds} s
each; figures are medians over them. `{run.command}`

CPU is microseconds a request. *cpu* is user and system time together, from the scheduler
(`/proc/PID/task/*/schedstat`, nanoseconds). *user* is that times the share of user time in all
rounds together, which the kernel samples at its clock ticks (`/proc/PID/stat`); behind it stands
one standard deviation of that sampling, at 250 ticks a second. *spread* is the widest difference of
*cpu* between rounds, as a share of the median. The program under test has core 0 for itself and one
worker; on core 1 is wrk.{"" if run.files else ABOUT_CLIENTS}"""


def noise(run):
    """Says how far the figures can be trusted."""
    spreads = [spread(samples) for samples in run.samples.values()]
    foreign = [sample.foreign for samples in run.samples.values() for sample in samples]
    if not spreads:
        return ""
    middle, widest, others = median(spreads), max(spreads), median(foreign)
    facts = (
        f"Spread between rounds: median {middle:.0%}, widest {widest:.0%}; "
        f"other programs and the host took {others:.0%} of a core (median)."
    )
    if run.rounds < 3:
        return f"**Fewer than 3 rounds: too few to tell noise from a result.** {facts}"
    if middle > NOISY_SPREAD or others > NOISY_FOREIGN:
        return f"**The machine was noisy: differences below the spread are none.** {facts}"
    return f"The machine was calm. {facts}"


def figures(run):
    """Ours against its goals."""
    return file_figures(run) if run.files else memory_figures(run)


def memory_figures(run):
    rows = []
    for workload in [*WORKLOADS, *CLIENT_WORKLOADS]:
        ours, hyper, floor = (run.samples.get((workload.name, name)) for name in ("ours", "hyper", "floor"))
        if not ours:
            continue
        of_hyper_user = ratio(user(ours), hyper and user(hyper))
        total = ratio(middle(ours, "cpu_us"), floor and middle(floor, "cpu_us"))
        of_hyper = ratio(middle(ours, "cpu_us"), hyper and middle(hyper, "cpu_us"))
        goals = map(goal, (workload.of_hyper_user, workload.of_floor_total, workload.of_hyper_total))
        cells = zip((of_hyper_user, total, of_hyper), goals)
        least = ratio(user(floor), hyper and user(hyper)) if floor else "-"
        rows.append([workload.name, *(cell for pair in cells for cell in pair), least])
    if not rows:
        return ""
    names = ["workload", "user, of hyper's", "at most", "cpu, of the floor's", "at most", "cpu, of hyper's", "at most"]
    names.append("the floor's user, of hyper's")
    says = "The floor parses nothing: what it takes of hyper's user time is the least that there can be."
    return f"## Ours, and what it is meant to be\n\n{says}\n\n{table(names, rows)}"


def file_figures(run):
    rows = []
    for workload in FILE_WORKLOADS:
        ours, nginx, tower = (run.samples.get((workload.name, name)) for name in ("ours", "nginx", "tower-http"))
        if not ours:
            continue
        cpu = middle(ours, "cpu_us")
        rows.append([
            workload.name,
            ratio(cpu, nginx and middle(nginx, "cpu_us")), goal(workload.of_nginx_total),
            ratio(cpu, tower and middle(tower, "cpu_us")), goal(workload.of_tower_http_total),
        ])  # fmt: skip
    if not rows:
        return ""
    names = ["workload", "cpu, of nginx's", "at most", "cpu, of tower-http's", "at most"]
    return "## Ours, and what it is meant to be with files\n\n" + table(names, rows)


def tables(run):
    return [section for workload in ALL_WORKLOADS if (section := workload_table(run, workload))]


def workload_table(run, workload):
    programs = [program for program in run.beside(workload) if (workload.name, program.name) in run.samples]
    if not programs:
        return ""
    cell = {program.name: run.samples[workload.name, program.name] for program in programs}
    whole, own = ("nginx", "tower-http") if run.files else ("floor", "hyper")
    of_whole = middle(cell[whole], "cpu_us") if whole in cell else None
    of_own = user(cell[own]) if own in cell else None
    rows = []
    for name, samples in cell.items():
        cpu = middle(samples, "cpu_us")
        failures = sum(sample.failures for sample in samples)
        rows.append([
            name + (f" ({failures} failures)" if failures else ""),
            f"{middle(samples, 'requests_a_second'):,.0f}", digits(cpu),
            f"{digits(user(samples))} ± {chance(samples):.0%}", ratio(cpu, of_whole), ratio(user(samples), of_own),
            *seen(samples).values(), f"{spread(samples):.0%}",
        ])  # fmt: skip
    others = seen(samples).keys()
    bases = f"cpu, of {'the ' if whole == 'floor' else ''}{whole}'s", f"user, of {own}'s"
    names = ["program", "requests/s", "cpu µs", "user µs", *bases, *others, "spread"]
    peculiar = {program.name: (program.lacks | program.closes).get(workload.name) for program in programs}
    remarks = [f"{name} {why}." for name, why in peculiar.items() if why]
    return "\n".join([f"## {workload.name}\n\n{workload.title}", *remarks, "", table(names, rows)])


def idle_table(run):
    if not run.idle:
        return ""
    rows = [[name, f"{median(run.idle[name]):.1f}"] for name in (program.name for program in run.servers) if name in run.idle]
    says = f"""\
Resident memory for each of {IDLE_CONNECTIONS:,} connections that had one answer and are kept. Ours is
meant to stay below 2.0."""
    return f"## {IDLE}\n\n{says}\n\n" + table(["program", "KiB a connection"], rows)


def machine(run):
    facts = dict(re.findall(r"^([\w() ]+?):\s+(.*)$", said(["lscpu"]), re.MULTILINE))
    caches = ", ".join(f"{name} {facts[f'{name} cache']}" for name in ("L1d", "L2", "L3") if f"{name} cache" in facts)
    known = {
        "processor": f"{facts.get('Model name', '?')}, {facts.get('CPU(s)', '?')} CPUs, {caches}",
        "virtual": facts.get("Hypervisor vendor", "no"),
        "kernel": platform.release(),
        "compiler": said(["rustc", "--version"]),
        "load": run.wrk_version,
    } | versions([*run.servers, *run.clients])
    title = "## Machine and versions" + (" of the files" if run.files else "")
    return f"{title}\n\n" + "\n".join(f"- {what}: {which}" for what, which in known.items())


def middle(samples, what):
    return median(getattr(sample, what) for sample in samples)


def user(samples):
    """User microseconds a request."""
    return middle(samples, "cpu_us") * user_share(samples)


def user_share(samples):
    """Over all rounds at once: the more ticks, the less chance."""
    user = sum(sample.ticks.user_ticks for sample in samples)
    return user / max(user + sum(sample.ticks.system_ticks for sample in samples), 1)


def chance(samples):
    """The standard deviation of the user share, as a share of it."""
    share = user_share(samples)
    ticks = sum(sample.ticks.total for sample in samples) * KERNEL_TICKS_A_SECOND
    return sqrt((1 - share) / (share * ticks)) if share else 0


def seen(samples):
    """The medians of what is told of a program beside what it costs."""
    values = {name: [sample.seen[name] for sample in samples] for name in samples[0].seen}
    return {name: "-" if None in those else f"{median(those):.2f}" for name, those in values.items()}


def spread(samples):
    values = [sample.cpu_us for sample in samples]
    return (max(values) - min(values)) / median(values)


def ratio(value, base):
    return f"{value / base:.2f}" if base else "-"


def goal(value):
    return f"{value:.2f}" if value else "-"


def digits(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def table(names, rows):
    """A Markdown table that also reads well as it stands; numbers to the right."""
    widths = [max(len(str(row[column])) for row in [names, *rows]) for column in range(len(names))]

    def line(first, *others):
        padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:]))]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(line(*row) for row in [names, rule, *rows])
