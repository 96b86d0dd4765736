# Debian's Kamailio with our configuration: the packages that the tests of the real systems use.
FROM debian:12.12-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends curl 'kamailio=5.6.3*' 'kamailio-postgres-modules=5.6.3*' \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=kamailio --group=kamailio /run/kamailio
COPY deploy/kamailio/kamailio.cfg /etc/connect/kamailio.cfg
USER kamailio
EXPOSE 5060/udp
ENTRYPOINT ["kamailio", "-f", "/etc/connect/kamailio.cfg", "-DD", "-E", "-m", "64", "-M", "8"]
CMD ["-w", "/run/kamailio", "-Y", "/run/kamailio", "-P", "/run/kamailio/kamailio.pid"]
