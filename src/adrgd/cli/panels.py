"""tyro's framed errors as one sentence of ours: without the frame, and without what is in the help anyway."""

from __future__ import annotations

import re

_SENTENCES = (
    (r"Unrecognized options: (?P<word>[^\s,]+).*Perhaps you meant: (?P<other>--\S+)",
     "unknown option {word}; did you mean {other}?"),
    (r"Unrecognized options: (?P<word>[^\s,]+)", "unknown option {word}"),
    (r"Error parsing (?P<flag>\S+): .*?(?P<said>expected .*)", "{flag}: {said}"),
    (r"Error parsing (?P<flag>\S+): (?P<said>.*)", "{flag}: {said}"),
    (r"Missing value for argument '(?P<flag>.*?)'\. Expected 1 values", "{flag} needs a value, found none"),
    (r"Missing value for argument '(?P<flag>.*?)'\. Expected (?P<count>\d+) values",
     "{flag} needs {count} values, found fewer"),
    (r"invalid choice '(?P<word>.*?)' for argument '(?P<flag>.*?)'\. Expected one of \((?P<choices>.*?),?\)",
     "{flag}: expected one of {choices}, found {word!r}"),
)  # fmt: skip


def sentence(panel: str) -> str:
    """What is wrong: the first thing that is, where several are."""
    panel = panel.partition("For full helptext")[0]
    lines = [line.strip("│╭╮╰╯─ \t") for line in panel.splitlines()]
    text = " ".join(" ".join(line for line in lines if line.strip("-")).split())
    text = text.partition(" Argument helptext")[0]
    for pattern, ours in _SENTENCES:
        if found := re.search(pattern, text):
            words = {name: word.strip("(',)") if name == "flag" else word for name, word in found.groupdict().items()}
            return ours.format(**words | {"choices": words.get("choices", "").replace("'", "")})
    if "Missing from " in text:
        return "missing: " + ", ".join(re.findall(r"^. {5}(\S.*?) *.?$", panel, flags=re.MULTILINE))
    return text.removeprefix("Parsing error ").rstrip(".")
