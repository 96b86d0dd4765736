"""Ports of loopback (TCP by default): which are free, and which programs have the others."""

import errno
import random
import socket
import sys
from collections.abc import Collection
from pathlib import Path

HOST = "127.0.0.1"
# Below where systems take the ports of outgoing connections from (Linux 32768, macOS 49152). Above it, a client that
# tries a stopped server again and again may one day get that very port for itself, and the server cannot come back.
FREE = range(20_000, 32_000)


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Whether we could listen on this port of loopback."""
    with socket.socket(type=kind) as s:
        if kind is socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: lingering connections don't count
        try:
            s.bind((HOST, port))
        except OSError as e:
            if e.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def free_port(besides: Collection[int] = ()) -> int:
    """A port of loopback that is free now and outside the range that the system hands out."""
    while (port := random.choice(FREE)) in besides or not is_free(port):
        pass
    return port


def who_listens(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> str:
    """The program that has the port, as "name (process 1234)". Empty when the system does not show it."""
    if sys.platform != "linux":
        return ""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, kind)}
    for handle in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        try:
            if str(handle.readlink()) in sockets:
                process = handle.parents[1]
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} (process {process.name})"
        except OSError:  # gone meanwhile, or another account's
            continue
    return ""


def _listening_inodes(port: int, kind: socket.SocketKind) -> set[str]:
    """Inodes of the sockets that listen on a port: proc_net_tcp, fields local_address, st (0A: LISTEN), inode.

    A UDP socket that takes datagrams from anybody is in state 07.
    """
    table_name, listening = ("tcp", "0A") if kind is socket.SOCK_STREAM else ("udp", "07")
    found = set()
    for table in (f"/proc/net/{table_name}", f"/proc/net/{table_name}6"):
        try:
            rows = Path(table).read_text(encoding="utf-8").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == listening and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
