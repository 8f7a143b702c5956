"""A storage of one's own: here a folder with a file of JSON for each key.

Prints:

    red
    ['colour.json']
    red, after a restart
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kadmap


class Folder:
    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def __getitem__(self, key: str) -> Any:
        return json.loads(self._file(key).read_text())

    def __setitem__(self, key: str, value: Any) -> None:
        self._file(key).write_text(json.dumps(value))

    def __delitem__(self, key: str) -> None:
        self._file(key).unlink()

    def __iter__(self) -> Iterator[str]:
        return (file.stem for file in self.path.glob("*.json"))

    def _file(self, key: str) -> Path:
        return self.path / f"{key}.json"


with TemporaryDirectory() as path:
    with kadmap.DHT("127.0.0.1", 0, storage=Folder(path)) as dht:
        dht["colour"] = "red"
        print(dht["colour"])
        print(sorted(file.name for file in Path(path).iterdir()))
    with kadmap.DHT("127.0.0.1", 0, storage=Folder(path)) as dht:
        print(f"{dht['colour']}, after a restart")
