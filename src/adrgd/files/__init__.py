"""Files: written whole or not at all, read without trust in who made them."""

from adrgd.files.writing import (
    CHUNK,
    TEMPORARY,
    Stream,
    digest,
    make_folder,
    sync,
    whole,
    write_all,
    write_text,
    write_with,
    writing,
)

__all__ = [
    "CHUNK",
    "TEMPORARY",
    "Stream",
    "digest",
    "make_folder",
    "sync",
    "whole",
    "write_all",
    "write_text",
    "write_with",
    "writing",
]
