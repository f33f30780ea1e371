"""docs/differences.md, and the judgement of a case by it."""

import re


class Table:
    """The ids of the document: those of differences from both peers, and those where the peers disagree."""

    def __init__(self, document):
        text = document.read_text()
        head, _, disagreements = text.partition("## Where runc and crun disagree")
        self.differences = set(re.findall(r"^\| `([a-z0-9-]+)` \|", head, re.MULTILINE))
        self.disagreements = set(re.findall(r"^\| `([a-z0-9-]+)` \|", disagreements, re.MULTILINE))
        sentence = re.search(r"^`tests/peers` does not show:(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
        self.not_shown = set(re.findall(r"`([a-z0-9-]+)`", sentence.group(1))) if sentence else set()

    def ids(self):
        return self.differences | self.disagreements


def compare(found, usual):
    """The differences of libberth from its peers, and those of the peers from each other, as lists of sentences.

    libberth's outcome equals that of a peer, and so does every other fact that it shares with peers of that outcome. A
    difference that the usual configuration shows as well, where another peer agrees, is not one of this case.
    """
    own = found["berth"]
    peers = {name: facts for name, facts in found.items() if name != "berth"}
    apart = differing(peers, usual)
    same = {name: facts for name, facts in peers.items() if facts["outcome"] == own["outcome"]}
    if not same:
        outcomes = ", ".join(f"{name} {facts['outcome']}" for name, facts in found.items())
        errors = "; ".join(f"{name}: {facts['#errors']}" for name, facts in found.items() if facts.get("#errors"))
        return [f"outcome: {outcomes} ({errors})"], apart
    wrong = []
    for name in sorted(set().union(own, *same.values())):
        values = {peer: facts.get(name, "nothing") for peer, facts in same.items()}
        of_all = {**values, "berth": own.get(name, "nothing")}
        if usual and all(usual[runtime].get(name, "nothing") == value for runtime, value in of_all.items()):
            continue
        # A runtime may leave less than its peers.
        if name.startswith("left ") and name not in own:
            continue
        if not name.startswith("#") and own.get(name, "nothing") not in values.values():
            others = ", ".join(f"{peer} {value!r}" for peer, value in values.items())
            error = f" ({own['#' + name]})" if own.get(f"#{name}") else ""
            wrong.append(f"{name}: berth {own.get(name, 'nothing')!r}, {others}{error}")
    return wrong, apart


def differing(peers, usual):
    """What the peers disagree about, except for what they disagree about anyway."""
    names = sorted(set().union(*peers.values()))
    apart = [name for name in names if not name.startswith("#") and len({facts.get(name) for facts in peers.values()}) > 1]
    return [
        name for name in apart if not usual or any(usual[peer].get(name) != facts.get(name) for peer, facts in peers.items())
    ]


def judge(case, found, usual, table):
    """What is wrong with a case, as sentences; nothing if all is as the document says."""
    wrong, apart = compare(found, usual)
    problems = [f"docs/differences.md has no {name}" for name in case.shows if name not in table.ids()]
    if case.shows and not wrong and not apart:
        problems.append(f"does not show {', '.join(case.shows)}: all runtimes agree")
    return problems + ([] if case.shows else wrong)
