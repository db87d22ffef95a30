# mailcanary beside your application: one process, its state in /var/lib/mailcanary, its surface on port 9464. docs/install.md says more.
# The image holds aioimaplib (GPL-3.0-only): whoever passes the image on owes its receivers the source; see docs/decisions/0001-licence.md.
#
# BASE: any Debian with python3 3.11 or newer and its venv. No network is needed when build/wheelhouse holds what is pinned:
#   pip download --require-hashes --dest build/wheelhouse -r .ci/constraints.txt
#
# EXTRAS: lab,sql,uvloop for an image that reads refunds from a database.

ARG BASE=python:3.11-slim

# ---- everything that is built ----------------------------------------------------------------------------------------

FROM ${BASE} AS build
ARG EXTRAS=lab,uvloop
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Each file is one of the pinned ones, wherever it came from. The pattern: a COPY whose source may be missing.
COPY .ci/constraints.txt build/wheelhous[e] /wheelhouse/
RUN mv /wheelhouse/constraints.txt . \
 && python3 -m venv /opt/tools \
 && { ls /wheelhouse/*.whl || /opt/tools/bin/pip download --require-hashes --dest /wheelhouse -r constraints.txt; } \
 && sha256sum /wheelhouse/* >sums \
 && while read -r sum file; do grep -q "sha256:$sum" constraints.txt || { echo "$file: its hash is not pinned" >&2; exit 1; }; done <sums
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheelhouse
RUN /opt/tools/bin/pip install --no-compile --upgrade cyclonedx-bom editables hatchling setuptools
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
# The product, what it needs and nothing else: not its tests, not even pip. dkimpy comes as source only.
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --use-pep517 --wheel-dir /wheelhouse dkimpy . \
 && python3 -m venv --without-pip /opt/mailcanary \
 && /opt/tools/bin/pip --python /opt/mailcanary/bin/python install "mailcanary[${EXTRAS}]" \
 && /opt/tools/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --sv 1.6 --of JSON \
      --output-file sbom.json /opt/mailcanary/bin/python

# ---- the image -------------------------------------------------------------------------------------------------------

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mailcanary" \
      org.opencontainers.image.description="Watches a shop's refund mail and tells the truth about what it can see" \
      org.opencontainers.image.licenses="GPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
RUN groupadd --gid 10001 mailcanary \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/mailcanary --shell /usr/sbin/nologin mailcanary \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/mailcanary \
 && install -d -m 0755 /etc/mailcanary
COPY --from=build /opt/mailcanary /opt/mailcanary
COPY --from=build /src/sbom.json /src/LICENSE /usr/share/doc/mailcanary/
# No bytecode is written at run time, so the root filesystem can be read-only; /tmp wants a small tmpfs (locks of mailboxes).
ENV PATH=/opt/mailcanary/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 XDG_STATE_HOME=/var/lib/mailcanary
USER 10001:10001
WORKDIR /var/lib/mailcanary
VOLUME /var/lib/mailcanary
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["mailcanary", "healthz"]
ENTRYPOINT ["mailcanary"]
CMD ["run"]
