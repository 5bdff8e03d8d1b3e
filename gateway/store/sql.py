"""Reads SQL text just closely enough to find parameters, macros, comments and statement ends.

One tokeniser serves both dialects: it knows what is quoted (`'…'`, `"…"`, `E'…'`, `$tag$…$tag$`), what is a
comment (`-- …`, `/* … */`, not nested) and what is code, so that a colon or a semicolon inside quotes is
never taken for ours.
"""

import re
import sqlite3
from collections.abc import Iterator
from enum import StrEnum


class SqlError(ValueError):
    """SQL text that cannot be read: an open quote, an unknown macro, more than one statement."""


class Kind(StrEnum):
    """What a stretch of SQL text is."""

    CODE = "code"
    QUOTED = "quoted"
    COMMENT = "comment"
    PARAMETER = "parameter"
    MACRO = "macro"
    END = "end"
    OPEN = "open"


_TOKEN = re.compile(
    r"""
    (?P<quoted> (?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*'
              | '(?:[^']|'')*'
              | "(?:[^"]|"")*"
              | (?<![A-Za-z0-9_$])\$(?P<tag>(?:[A-Za-z_][A-Za-z0-9_]*)?)\$.*?\$(?P=tag)\$ )
  | (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?P<open> ['"] | /\* | (?<![A-Za-z0-9_$])\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$ )
  | (?P<code> :: | [A-Za-z_][A-Za-z0-9_$]* | [^'"\-/:;${}A-Za-z_]+ )
  | (?P<parameter> :[A-Za-z_][A-Za-z0-9_]* )
  | (?P<macro> \{[^}\n]*\} )
  | (?P<end> ; )
  | (?P<single> . )
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(text: str) -> Iterator[tuple[Kind, str]]:
    """Yield the stretches of `text` in order; joined they are `text` again. SqlError on an open quote."""
    for match in _TOKEN.finditer(text):
        kind = Kind.CODE if match.lastgroup == "single" else Kind(match.lastgroup or "code")
        if kind is Kind.OPEN:
            line = text.count("\n", 0, match.start()) + 1
            raise SqlError(f"line {line}: {match.group()} is never closed")
        yield kind, match.group()


def split_statements(text: str, dialect: str) -> list[str]:
    """Cut a migration into its statements, without comments and final semicolons.

    A SQLite trigger (`CREATE TRIGGER … BEGIN …; END;`) and a dollar-quoted PostgreSQL function stay whole;
    PostgreSQL's `BEGIN ATOMIC` function bodies are not understood (quote them with `$$`).
    """
    statements: list[str] = []
    current: list[str] = []
    for kind, piece in tokens(text):
        if kind is Kind.COMMENT:
            current.append(" ")
            continue
        whole = kind is Kind.END and _is_whole("".join(current), dialect)
        if not whole:
            current.append(piece)
            continue
        statements.append("".join(current).strip())
        current = []
    statements.append("".join(current).strip())
    return [statement for statement in statements if statement]


def _is_whole(statement: str, dialect: str) -> bool:
    """Whether a semicolon after `statement` ends it; inside a SQLite trigger it does not."""
    return dialect != "sqlite" or sqlite3.complete_statement(statement + ";")
