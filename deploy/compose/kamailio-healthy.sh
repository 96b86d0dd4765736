#!/bin/bash
# Whether Kamailio at HOST PORT answers OPTIONS (RFC 3261 section 11), for which nobody needs a secret.
set -euo pipefail
exec 3<>"/dev/udp/$1/$2"
printf '%s\r\n' "OPTIONS sip:$1:$2 SIP/2.0" "Via: SIP/2.0/UDP healthy.invalid;branch=z9hG4bK$RANDOM$RANDOM;rport" \
  'Max-Forwards: 5' "From: <sip:healthy@healthy.invalid>;tag=$RANDOM" "To: <sip:$1:$2>" "Call-ID: $RANDOM$RANDOM" \
  'CSeq: 1 OPTIONS' 'Content-Length: 0' '' | dd bs=4096 iflag=fullblock status=none >&3
timeout 2 dd bs=4096 count=1 status=none <&3 | grep --quiet '^SIP/2.0 200 '
