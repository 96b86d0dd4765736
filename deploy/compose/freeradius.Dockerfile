# Debian's FreeRADIUS with our configuration: the packages that the tests of the real systems use.
FROM debian:12.12-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      'freeradius=3.2.1*' 'freeradius-postgresql=3.2.1*' 'freeradius-utils=3.2.1*' \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=freerad --group=freerad /run/radius
COPY deploy/freeradius/radiusd.conf /etc/connect/radiusd.conf
COPY deploy/freeradius/accounting.conf deploy/freeradius/accounting.policy deploy/freeradius/ipv6.conf /etc/connect/
COPY deploy/compose/freeradius.sh /usr/local/bin/
USER freerad
EXPOSE 1812/udp 1813/udp
ENTRYPOINT ["freeradius.sh"]
