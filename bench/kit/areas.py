"""Whose work the instructions of a program are: its profile, by the part of the source they come from.

The compiler puts small functions into large ones of other files. callgrind knows of each instruction
in which file it was written, and in which function it ended up: what was written in our own sources
counts as where it was written, and what the standard library and others' crates have put into a
function of ours counts as that function's.
"""

import re
from collections import Counter

OURS = "nethttp"
# The first that matches counts: of the file where it was written, else of the function that it is in.
AREAS = [
    ("head and framing: h1", r"/src/h1/", r"nethttp::h1::"),
    ("frames, HPACK and streams: h2", r"/src/h2/", r"nethttp::h2::"),
    ("fields, URLs, dates: message", r"/src/message/", r"nethttp::message::"),
    ("connection and exchange: server", r"/src/server/", r"nethttp::server::"),
    ("mux", r"/src/mux/", r"nethttp::mux|mux::ServeMux"),
    ("pool of the client", r"/src/client/pool/", r"nethttp::client::pool::"),
    ("exchange and policy: client", r"/src/client/", r"nethttp::client::"),
    ("buffers and deadlines: net", r"/src/net/", r"nethttp::net::"),
    ("memory: malloc and free", r"/malloc\.c$|/malloc/", r"^(malloc|free|realloc|calloc|_int_)"),
    ("memory: copies", r"memmove|memcpy|memset", r"^__mem(cpy|move|set)"),
    ("tokio", r"/tokio-1", r"tokio::|mio::"),
    ("http, bytes, memchr and other crates", r"/registry/src/", r"(http|bytes|memchr|hashbrown|url|itoa)::"),
    ("system calls and clocks", r"sysdeps|/nptl/|vdso|time/unix|pal/unix", r"clock_gettime|Timespec|recv|send"),
]
ALLOCATE = ("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign")
REST = "the rest, the program's own main and handler in it"


def of_profile(path):
    """Instructions by area and by function, of a whole run."""
    by_area, by_function = Counter(), Counter()
    for (file, function), cost in exclusive(path).items():
        by_area[area_of(file, function)] += cost
        by_function[shown(function)] += cost
    return by_area, by_function


def shown(function):
    """A function's name without what it is generic over, and without the crate that all of ours share."""
    name = re.sub(r"^<(.*?)(?: as .*)?>::", r"\1::", function.removesuffix("'2"))
    name = re.sub(r"<impl [^<>]*(?:<[^<>]*>)*[^<>]*>::|::<impl .*?>(?=::)|<[^<>]*>", "", name)
    return name.replace(f"{OURS}::", "")


def area_of(file, function):
    own = OURS in function
    for name, of_file, of_function in AREAS:
        is_ours = of_file.startswith("/src/")
        # What others' code has become part of one of ours is that one's work.
        if re.search(of_file, file) and (is_ours or not own):
            return name
    return next((name for name, _, of_function in AREAS if re.search(of_function, function)), REST)


def allocations(path):
    """How often memory was asked for in a whole run: calls from anywhere, the allocator itself left out."""
    names, found, callee, caller = {"function": {}}, 0, "", ""
    with open(path, errors="replace") as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition("=")
            if key == "fn":
                caller = named(names["function"], value)
            elif key == "cfn":
                callee = named(names["function"], value)
            elif key == "calls" and callee in ALLOCATE and caller not in ALLOCATE:
                found += int(value.split()[0])
    return found


def exclusive(path):
    """What each function took itself: callgrind's format, of which only that is read."""
    costs, names = Counter(), {"file": {}, "function": {}}
    file = function = None
    called = False
    with open(path, errors="replace") as lines:
        for line in lines:
            key, found, value = line.rstrip("\n").partition("=")
            if found and key in ("fl", "fi", "fe", "cfi", "cfl"):
                name = named(names["file"], value)
                file = file if key.startswith("c") else name
            elif found and key in ("fn", "cfn"):
                name = named(names["function"], value)
                function = function if key == "cfn" else name
            elif found and key == "calls":
                # The line behind it is what the callee took, which has lines of its own.
                called = True
            elif re.match(r"[+\-*\d]\S* \d+$", line):
                if not called:
                    costs[file, function] += int(line.split()[1])
                called = False
    return costs


def named(known, value):
    """A name stands in full where it comes first, and as its number from then on."""
    number, _, name = value.partition(" ")
    if name:
        known[number] = name
    return known[number]
