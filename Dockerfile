# mailcanary beside your application: one process, its state in /var/lib/mailcanary, its surface on port 9464.
# The image holds aioimaplib (GPL-3.0-only): whoever passes the image on owes its receivers the source; see docs/decisions/0001-licence.md.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Everything is fetched here, by hash; from then on pip sees only /wheels, and takes what the product needs and not what its tests need.
COPY .ci/constraints.txt .ci/constraints.txt
RUN pip wheel --require-hashes --wheel-dir /wheels -r .ci/constraints.txt
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
RUN pip wheel --no-deps --wheel-dir /wheels . \
 && python -m venv /opt/mailcanary \
 && /opt/mailcanary/bin/pip install "mailcanary[lab,uvloop]"

FROM python:3.11-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mailcanary" \
      org.opencontainers.image.description="Watches a shop's refund mail and tells the truth about what it can see" \
      org.opencontainers.image.licenses="GPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 mailcanary \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/mailcanary --shell /usr/sbin/nologin mailcanary \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/mailcanary \
 && install -d -m 0755 /etc/mailcanary
COPY --from=build /opt/mailcanary /opt/mailcanary
COPY LICENSE /usr/share/doc/mailcanary/LICENSE
# No bytecode is written at run time, so the root filesystem can be read-only; /tmp wants a small tmpfs (locks of mailboxes).
ENV PATH=/opt/mailcanary/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 XDG_STATE_HOME=/var/lib/mailcanary
USER 10001:10001
WORKDIR /var/lib/mailcanary
VOLUME /var/lib/mailcanary
EXPOSE 9464
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["mailcanary", "healthz"]
ENTRYPOINT ["mailcanary"]
CMD ["run"]
