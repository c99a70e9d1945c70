"""Hand this stage over to the server that ``lt-pipeline run`` has started, if there is one.

It is imported before anything that takes time. Whatever is not as expected means the same:
the stage runs here, as without a server.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any

SOCKET = "LT_STAGE_SERVER"
"""the variable that names the server's socket"""
BEGUN = b"+"
"""what the server answers when it runs the stage"""
PATIENCE_S = 30.0
"""until a server that does not answer is taken for lost"""
LONGEST = 1 << 20
"""bytes of a request"""
STAGES = "pipeline.stages."
LOST = "the process that served the stages was killed (out of memory?); run it again"
KILLED = (
    "the stage was killed (out of memory?); free memory, or set fewer `workers` or a "
    "smaller model, and run it again"
)


def hand_over(dvc: int | None) -> None:
    """Let the server run this stage, and end as it ends; return where it cannot.

    Args:
        dvc: that the stage follows; a stage without one runs here.
    """
    address = os.environ.pop(SOCKET, None)
    command = _command()
    if address is None or command is None or dvc is None:
        return
    with socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.settimeout(PATIENCE_S)
            channel.connect(address)
            _send(channel, command, dvc)
            begun = channel.recv(1) == BEGUN
            channel.settimeout(None)
        except OSError:
            return
        if begun:
            _wait(channel)


def _command() -> tuple[str, list[str]] | None:
    """The stage that this process was started to run, and its arguments."""
    words = sys.orig_argv
    at = words.index("-m") if "-m" in words else len(words)
    if not "".join(words[at + 1 : at + 2]).startswith(STAGES):
        return None
    return words[at + 1], words[at + 2 :]


def _send(channel: socket.socket, command: tuple[str, list[str]], dvc: int) -> None:
    request = {
        "module": command[0],
        "arguments": command[1],
        "environment": dict(os.environ),
        "dvc": dvc,
        "folder": str(Path.cwd()),
        "code": _code(),
    }
    text = json.dumps(request).encode()
    socket.send_fds(channel, [len(text).to_bytes(4, "big")], [0, 1, 2])
    channel.sendall(text)


def received(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The message of a stage's command: the request, and its three streams."""
    channel.settimeout(PATIENCE_S)
    streams: list[int] = []
    try:
        head, streams, _, _ = socket.recv_fds(channel, 4, 3)
        length = int.from_bytes(head, "big")
        if len(head) < 4 or length > LONGEST or len(streams) != 3:
            return {}, streams
        text = b""
        while len(text) < length and (part := channel.recv(length - len(text))):
            text += part
        request: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return {}, streams
    channel.settimeout(None)
    return request, streams


def is_of(request: dict[str, Any], folder: Path) -> bool:
    """Whether a request comes from the folder and the code of this process."""
    return request.get("folder") == str(folder) and request.get("code") == _code()


def _code() -> list[str]:
    return [sys.executable, str(Path(__file__).resolve())]


def _wait(channel: socket.socket) -> None:
    """End as the stage ends; an interrupt here is one there."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        channel.shutdown(socket.SHUT_WR)

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    text = b""
    while part := channel.recv(16):
        text += part
    if not text:
        sys.stderr.write(f"lt-pipeline: {LOST}\n")
    sys.stdout.flush()
    code = int(text or b"1")
    if code < 0:  # the child was ended by a signal
        if code == -signal.SIGKILL:
            sys.stderr.write(f"lt-pipeline: {KILLED}\n")
        else:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
