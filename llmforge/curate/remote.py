"""Files that are not on this machine: any URL that fsspec knows (s3://, gs://, https://, memory://, hf:// and so on).

A remote file is fetched when its turn comes, read like any other, and removed again, so that the disk holds one at
a time for each worker. What its store says of it (an entity tag, a checksum, a time) stands for a hash of its content;
a file that changes between two looks stops the stage.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from llmforge.core.errors import InputError, MachineError, SettingsError
from llmforge.core.hashing import hash_value
from llmforge.pipeline.inputs import InputFile

_TRIES = 3
_VERSION_KEYS = (
    *("ETag", "etag", "e_tag", "checksum", "md5Hash", "crc32c", "content_md5", "sha256", "blob_id"),
    *("LastModified", "last_modified", "Last-Modified", "mtime", "modified", "created", "updated"),
    *("CRC", "chksum"),  # of members of zip and tar files
)


def is_url(path: str) -> bool:
    """Whether a path names a place by its protocol."""
    return "://" in path


def local_path(path: str) -> str:
    """The path of a file:// URL; any other path as it is."""
    return unquote(urlsplit(path).path) if path.startswith("file://") else path


def find_remote_files(url: str, source: str) -> list[InputFile]:
    """The files of a URL: of a folder or a pattern all of them, sorted by path.

    Raises: InputError if nothing is there; SettingsError for a protocol that nobody knows; MachineError if the
        package for it is missing or the place cannot be reached.
    """
    system, path = _connect(url)
    with _told(url):
        if _is_web(url):
            found, base = [path], ""
        elif any(sign in path for sign in "*?["):
            found, base = system.glob(path), _before_pattern(path)
        elif system.isdir(path):
            found, base = system.find(path), path
        else:
            found, base = [path], path.rpartition("/")[0]
        infos = {name: system.info(name) for name in sorted(found)}
        files = [_describe(system, url, name, info, base, source) for name, info in infos.items() if _is_file(info)]
    if not files:
        raise InputError(f"{url}: no file matches", "check the URL, and what its store holds")
    return files


@contextmanager
def fetched(file: InputFile, folder: Path) -> Iterator[InputFile]:
    """A local copy of a remote file, for as long as the block lasts; a local file is handed out as it is.

    Raises: InputError if the file is gone, or is not the one that was found before.
    """
    if not file.url:
        yield file
        return
    system, path = _connect(file.url)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy = folder / file.path.name
    try:
        with _told(file.url):
            _get(system, path, copy)
            now = _version(system.info(path))
        if now != file.version:
            raise InputError(f"{file.url}: changed since the stage began", "wait until it is complete, and run again")
        yield replace(file, path=copy, num_bytes=copy.stat().st_size)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_head(file: InputFile, num_bytes: int) -> bytes:
    """The first bytes of a remote file, decompressed as its ending says."""
    import fsspec

    with _told(file.url), fsspec.open(file.url, "rb", compression="infer") as stream:
        head: bytes = stream.read(num_bytes)
        return head


def _connect(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise MachineError(f"{url}: {error}", "install the package that fsspec names for this protocol") from error
    except ValueError as error:
        raise SettingsError(f"{url}: {error}", "give a path, or a URL of a protocol that fsspec knows") from error
    return system, path


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Errors of a store as errors of llmforge."""
    try:
        yield
    except Exception as error:  # every store's client has errors of its own
        # A web server that cannot be reached is reported as a missing file, with the true cause behind it.
        if isinstance(error, FileNotFoundError) and not isinstance(error.__cause__, OSError):
            raise InputError(f"{url}: no such file or folder", "check the URL, and what its store holds") from error
        problem = f"{url}: cannot be read ({type(error).__name__}: {error})"
        raise MachineError(problem, "check the network, and the credentials that fsspec's package reads") from error


def _get(system: Any, path: str, copy: Path) -> None:
    for attempt in range(_TRIES):
        try:
            system.get_file(path, str(copy))
            return
        except FileNotFoundError:
            raise
        except Exception:
            if attempt == _TRIES - 1:
                raise
            time.sleep(2.0**attempt)


def _is_file(info: dict[str, Any]) -> bool:
    """Whether it is one; links in an archive are not followed, as those of a folder are not."""
    return info.get("type", "file") == "file" and not info.get("linkname")


def _describe(system: Any, asked: str, path: str, info: dict[str, Any], base: str, source: str) -> InputFile:
    url = path if _is_web(path) else system.unstrip_protocol(path) + _container(asked)
    locator = PurePosixPath(urlsplit(path).path).name if _is_web(path) else str(PurePosixPath(path).relative_to(base))
    return InputFile(Path(locator), source, locator, int(info.get("size") or 0), url, _version(info))


def _container(url: str) -> str:
    """What a file lies in, of a chain such as `zip://inside::https://host/outside.zip`; else nothing."""
    inside, chain, outside = url.partition("::")
    return chain + outside if is_url(inside) else ""


def _version(info: dict[str, Any]) -> str:
    """What the store says of a file's content: all that it has of tags, checksums and times, and the size."""
    return hash_value({key: str(info[key]) for key in ("size", *_VERSION_KEYS) if info.get(key) is not None})


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _before_pattern(path: str) -> str:
    """The folder that a pattern begins in."""
    parts = path.split("/")
    first = next(place for place, part in enumerate(parts) if any(sign in part for sign in "*?["))
    return "/".join(parts[:first])
