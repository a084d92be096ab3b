"""``new-plugin``."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidings import __version__
from tidings.cli.output import divert_foreign, echo
from tidings.errors import TidingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 40
PREFIX = "tidings-"
SUFFIX = ".template"
KINDS = {
    "producer": "Carries the domain events of tidings to {}.",
    "store": "Keeps domain events for tidings in {}.",
    "tracker": "Keeps in {} how far tidings has carried events.",
    "serializer": "Makes messages of tidings' domain events: {}.",
    "observer": "Hears what tidings does, for {}.",
}


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="producer",
    show_default=True,
    help="What it is to offer; with a producer goes a consumer.",
)
@click.option("--directory", metavar="DIR", help="Where to write it.  [default: tidings-NAME]")
def new_plugin(name: str, kind: str, directory: str | None) -> None:
    """Write a plugin of your own, ready but for what only you can write."""
    divert_foreign()
    _check(name)
    folder = Path(directory or PREFIX + name)
    try:
        folder.mkdir(parents=True)
        for path, text in _files(name, kind):
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise TidingsError(
            f"{folder} exists already, and was left as it is. --directory DIR names another place."
        ) from None
    except OSError as error:
        raise TidingsError(f"Cannot write {error.filename}: {error.strerror}.") from error
    echo(f"{folder} written. Its tests say what is to be written next:")
    echo(f"  pip install -e '{folder}[test]' && pytest {folder}")


def _check(name: str) -> None:
    from tidings.plugins.kinds import PRODUCER  # noqa: PLC0415 - not needed for --help
    from tidings.plugins.registry import PluginRegistry  # noqa: PLC0415 - not needed for --help

    if name.startswith(PREFIX):
        raise TidingsError(
            f"The name is the word in the configuration, and what is written becomes "
            f"{PREFIX}NAME by itself: tidings new-plugin {name.removeprefix(PREFIX)}"
        )
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise TidingsError(
            f"{name!r} cannot be a plugin's name: it has up to {LONGEST_NAME} lower-case letters "
            "a-z, digits and dashes between them, and begins with a letter, as my-broker."
        )
    if name in PluginRegistry().names(PRODUCER):
        raise TidingsError(
            f"There is a backend {name!r} already (`tidings plugins` shows whose it is): choose "
            "another name."
        )


def _files(name: str, kind: str) -> Iterator[tuple[Path, str]]:
    """Yield each file of the distribution: its path in the folder, and its text."""
    from tidings.plugins.specs import API  # noqa: PLC0415 - not needed for --help

    words = {
        "@NAME@": name,
        "@MODULE@": f"tidings_{name.replace('-', '_')}",
        "@CLASS@": "".join(part.capitalize() for part in name.split("-")),
        "@VERSION@": __version__,
        "@API@": str(API),
        "@WHAT@": KINDS[kind].format(name),
    }
    for part in ("common", kind):
        for path, template in _templates(files("tidings.cli") / "plugin_template" / part, Path()):
            where = str(path).removesuffix(SUFFIX).replace("MODULE", words["@MODULE@"])
            yield Path(where), _filled(template.read_text(encoding="utf-8"), words)


def _templates(folder: Traversable, path: Path) -> Iterator[tuple[Path, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _templates(each, path / each.name)
        elif each.name.endswith(SUFFIX):
            yield path / each.name, each


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text
