"""What a person reads when something fails."""

import re

from indexes.errors import WaggleError
from indexes.i18n import t


def explain(error: Exception) -> str:
    """One or two sentences about any failure; the traceback stays away."""
    if isinstance(error, WaggleError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}."
    return t(
        "Waggle made a mistake ({kind}: {reason}). Run again with --debug to see where.",
        kind=type(error).__name__,
        reason=error,
    )


def usage(message: str) -> str:
    """What Typer says about wrong arguments, as a sentence of ours; one that is not known here
    stays as it is."""
    known = {
        r"No such command '(?P<name>.*?)'. Did you mean '(?P<near>.+?)'.*": t(
            "There is no command {name}; did you mean {near}?"
        ),
        r"No such command '(?P<name>.*)'\.": t("There is no command {name}."),
        r"No such option: (?P<name>.+) \(Possible options: (?P<near>.+)\)": t(
            "There is no option {name}; did you mean {near}?"
        ),
        r"No such option: (?P<name>.*)": t("There is no option {name}."),
        r"Missing command\.": t("The command is missing."),
        r"Missing \w+ '(?P<name>.+?)(\.\.\.)?'\.": t("{name} is missing."),
        r"Option '(?P<name>.+)' requires an argument\.": t("{name} needs a value."),
        r"Option '(?P<name>.+)' does not take a value\.": t("{name} takes no value."),
        r"Invalid value for '(?P<name>.+?)': .*integer.*": t("{name} must be a whole number."),
        r"Invalid value for '(?P<name>.+?)': .* is not one of (?P<choices>'.+')\.?": t(
            "{name} must be one of these: {choices}."
        ),
        r"Got unexpected extra argument\(s\) \((?P<rest>.*)\)": t(
            "«{rest}» is too much. Put quotation marks around words that belong together."
        ),
    }
    for pattern, sentence in known.items():
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return sentence.format(**match.groupdict())
    return message
