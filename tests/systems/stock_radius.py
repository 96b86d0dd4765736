"""A FreeRADIUS as an operator has it: its own modules, policies and queries, and two files of ours."""

import re
from pathlib import Path

from starter.local.systems import FreeRadius

STOCK = Path("/etc/freeradius/3.0")
MODULES = ("always", "attr_filter", "chap", "exec", "expr", "pap", "preprocess", "realm")
INCLUDED = "".join(f"    $INCLUDE {STOCK}/mods-available/{name}\n" for name in MODULES)
RADIUSD = f"""
confdir = {STOCK}
modconfdir = {STOCK}/mods-config
libdir = /usr/lib/freeradius
logdir = .
run_dir = .
db_dir = .
$INCLUDE secret.conf
log {{
    destination = stdout
}}
security {{
    reject_delay = 0
    status_server = yes
}}
client gear {{
    ipaddr = 127.0.0.0/8
    secret = ${{radius_secret}}
}}
client gear_ipv6 {{
    ipaddr = ::1
    secret = ${{radius_secret}}
}}
proxy_requests = no
max_requests = 16384
realm LOCAL {{
}}
thread pool {{
    start_servers = 2
    max_servers = 8
    min_spare_servers = 2
    max_spare_servers = 4
}}
instantiate {{
    expr
}}
modules {{
{INCLUDED}
    $INCLUDE sql
}}
policy {{
    $INCLUDE {STOCK}/policy.d/
    $INCLUDE accounting.policy
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = $ENV{{RADIUS_AUTH_PORT}}
    }}
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = $ENV{{RADIUS_ACCT_PORT}}
    }}
    listen {{
        type = acct
        ipv6addr = ::1
        port = $ENV{{RADIUS_ACCT_PORT}}
    }}
    authorize {{
        Autz-Type Status-Server {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
        }}
        preprocess
        chap
        sql
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
        Auth-Type CHAP {{
            chap
        }}
    }}
    preacct {{
        preprocess
        acct_unique
        suffix
    }}
    accounting {{
        store_accounting
        exec
        attr_filter.accounting_response
    }}
    post-auth {{
        update reply {{
            &Message-Authenticator := 0x00
        }}
        sql
        exec
        Post-Auth-Type REJECT {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
        }}
    }}
}}
"""


class StockRadius(FreeRadius):
    """With FreeRADIUS's own files, but for the section of accounting, as docs/systems.md says."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # as its parent
        ours = {name: self._files[name] for name in ("accounting.conf", "accounting.policy", "pgpass", "secret.conf")}
        self._files = {"radiusd.conf": RADIUSD, "queries.conf": _queries(), "sql": _module(), **ours}


def _queries() -> str:
    """The stock file, whose section of accounting is another."""
    text = (STOCK / "mods-config/sql/main/postgresql/queries.conf").read_text(encoding="utf-8")
    lines = text.splitlines()
    begin = lines.index("accounting {")
    end = lines.index("}", begin)
    return "\n".join([*lines[:begin], "$INCLUDE accounting.conf", *lines[end + 1 :], ""])


def _module() -> str:
    text = (STOCK / "mods-available/sql").read_text(encoding="utf-8")
    for setting, value in (
        ("dialect", '"postgresql"'),
        ("driver", '"rlm_sql_postgresql"'),
        ("radius_db", "$ENV{RADIUS_DB}"),
        ("retry_delay", "1"),
        ("start", "0"),
        (r"\$INCLUDE", "queries.conf"),
    ):
        equals = "" if "INCLUDE" in setting else "= "
        text = re.sub(rf"(?m)^(\t+)({setting}) .*$", lambda m: f"{m[1]}{m[2]} {equals}{value}", text)  # noqa: B023
    return text
