"""The attributes of RADIUS that access gear in miniature sends and reads."""

import io
from functools import cache

from pyrad.dictionary import Dictionary

DICTIONARY = """
ATTRIBUTE User-Name               1   string
ATTRIBUTE User-Password           2   string
ATTRIBUTE CHAP-Password           3   octets
ATTRIBUTE NAS-IP-Address          4   ipaddr
ATTRIBUTE Framed-IP-Address       8   ipaddr
ATTRIBUTE Calling-Station-Id      31  string
ATTRIBUTE NAS-Identifier          32  string
ATTRIBUTE Acct-Status-Type        40  integer
ATTRIBUTE Acct-Delay-Time         41  integer
ATTRIBUTE Acct-Input-Octets       42  integer
ATTRIBUTE Acct-Output-Octets      43  integer
ATTRIBUTE Acct-Session-Id         44  string
ATTRIBUTE Acct-Session-Time       46  integer
ATTRIBUTE Acct-Terminate-Cause    49  integer
ATTRIBUTE Acct-Input-Gigawords    52  integer
ATTRIBUTE Acct-Output-Gigawords   53  integer
ATTRIBUTE Event-Timestamp         55  date
ATTRIBUTE CHAP-Challenge          60  octets
ATTRIBUTE Tunnel-Type             64  integer has_tag
ATTRIBUTE Tunnel-Medium-Type      65  integer has_tag
ATTRIBUTE Message-Authenticator   80  octets
ATTRIBUTE Tunnel-Private-Group-Id 81  string has_tag
ATTRIBUTE NAS-IPv6-Address        95  ipv6addr
ATTRIBUTE Framed-IPv6-Prefix      97  ipv6prefix
ATTRIBUTE Error-Cause             101 integer
ATTRIBUTE Framed-IPv6-Address     168 ipv6addr
VENDOR WISPr 14122
BEGIN-VENDOR WISPr
ATTRIBUTE WISPr-Bandwidth-Max-Up   7 integer
ATTRIBUTE WISPr-Bandwidth-Max-Down 8 integer
END-VENDOR WISPr
VENDOR Mikrotik 14988
BEGIN-VENDOR Mikrotik
ATTRIBUTE Mikrotik-Rate-Limit 8 string
END-VENDOR Mikrotik
"""


@cache
def dictionary() -> Dictionary:
    return Dictionary(io.StringIO(DICTIONARY))
