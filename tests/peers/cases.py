"""What a case is, and the list of all of them."""

import dataclasses

VIEWS = ("v2", "v1", "hybrid")


@dataclasses.dataclass
class Case:
    """One configuration, or one sequence of commands, that every runtime gets."""

    name: str
    # Changes the usual configuration; gets it and the case's Place. May return a string: the text of config.json.
    change: object = None
    view: str = "v2"
    # The ids of docs/differences.md that it shows.
    shows: tuple = ()
    # "root", "userns" or "rootless".
    who: str = "root"
    # A sequence of commands instead of `run`: gets a Commands (tests/peers/verbs.py).
    commands: object = None
    # Makes in the root filesystem or beside it what the case needs; gets the Place.
    prepare: object = None


ALL = []


def case(name, change=None, **more):
    assert name not in {each.name for each in ALL}, f"two cases are named {name}"
    ALL.append(Case(name, change, **more))


def expect(shown):
    """Notes in each case the differences that it shows; gets the names of cases by id."""
    known = {each.name: each for each in ALL}
    for identity, names in shown.items():
        for name in names:
            known[name].shows += (identity,)
