# Debian's Kamailio with our configuration: the packages that the tests of the real systems use.
FROM debian:12.12-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends 'kamailio=5.6.3*' 'kamailio-postgres-modules=5.6.3*' \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=kamailio --group=kamailio /run/kamailio
COPY deploy/kamailio/kamailio.cfg /etc/connect/kamailio.cfg
COPY deploy/compose/kamailio.sh deploy/compose/kamailio-healthy.sh /usr/local/bin/
USER kamailio
EXPOSE 5060/udp
ENTRYPOINT ["kamailio.sh"]
