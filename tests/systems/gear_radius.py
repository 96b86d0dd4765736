"""FreeRADIUS as access gear: it takes Disconnect- and CoA-Requests (RFC 5176), and notes what it has decoded.

A session whose id begins with `gone` it does not find, one with `kept` it does not end, one with `stiff` it does not
change. It holds no sessions: who asks has accounted for them.
"""

from pathlib import Path

from starter.local.ports import HOST
from starter.local.postgres import HERE
from starter.local.systems import Daemon

RADIUSD = f"""
libdir = /usr/lib/freeradius
logdir = .
run_dir = .
$INCLUDE secret.conf
log {{
    destination = stdout
}}
client connect {{
    ipaddr = {HOST}
    secret = ${{radius_secret}}
}}
modules {{
    expr {{
    }}
    linelog {{
        filename = requests
        format = "%{{Packet-Type}} %{{pairs:request:}}"
    }}
    always ok {{
        rcode = ok
    }}
    always reject {{
        rcode = reject
    }}
}}
server gear {{
    listen {{
        type = coa
        ipaddr = {HOST}
        port = $ENV{{RADIUS_COA_PORT}}
    }}
    recv-coa {{
        linelog
        if (&Acct-Session-Id =~ /^gone/) {{
            update reply {{
                &Error-Cause := Session-Context-Not-Found
            }}
            reject
        }}
        elsif ((&Acct-Session-Id =~ /^kept/) && ("%{{Packet-Type}}" == "Disconnect-Request")) {{
            update reply {{
                &Error-Cause := Session-Context-Not-Removable
            }}
            reject
        }}
        elsif ((&Acct-Session-Id =~ /^stiff/) && ("%{{Packet-Type}}" == "CoA-Request")) {{
            update reply {{
                &Error-Cause := Unsupported-Attribute
            }}
            reject
        }}
        else {{
            ok
        }}
    }}
    send-coa {{
        update reply {{
            &Message-Authenticator := 0x00
        }}
    }}
}}
"""


class GearRadius(Daemon):
    """Takes requests at UDP ``port`` of loopback."""

    def __init__(self, port: int, secret: str, folder: Path) -> None:
        super().__init__(
            "FreeRADIUS as gear",
            ["freeradius", "-f", "-l", "stdout", "-d", HERE],
            port,
            folder / "gear",
            folder / "gear.log",
            {"RADIUS_COA_PORT": str(port)},
            account="freerad",
            configurations=[],
            files={"radiusd.conf": RADIUSD, "secret.conf": f'radius_secret = "{secret}"\n'},
        )

    @property
    def requests(self) -> list[str]:
        """What it has decoded, a line for each request: its type and attributes."""
        assert self.folder is not None
        noted = self.folder / "requests"
        return noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
