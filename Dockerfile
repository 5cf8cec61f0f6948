# Postsync as an image. What runs needs no shell, no compiler, no package tool and no root.
#
#   docker build --tag postsync:0.1.0 .
#
# `make image` builds an OCI archive, of the same commit the same bytes, on any day and any machine of
# one kind; it needs docker with buildx, and knows what to set.

# Python 3.11, the oldest that Postsync runs on and the one of Debian bookworm; it gets security fixes until
# October 2027 (PEP 664). The index (all platforms) of September 2026. `docker buildx imagetools
# inspect python:3.11-slim-bookworm` tells a newer one; tag and digest change together.
ARG PYTHON=docker.io/library/python:3.11.16-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON} AS build
# 1980: the oldest time that a wheel, being a zip archive, can hold.
ARG SOURCE_DATE_EPOCH=315532800
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=0
WORKDIR /src
# requirements-extras.lock has the libraries of all handlers (AWS, Google, Akamai, Apprise, ...) and
# psycopg, for a ledger in PostgreSQL.
ARG REQUIREMENTS=requirements.lock
COPY requirements.lock requirements-extras.lock ./
RUN python -m venv --without-pip /opt/postsync && \
    python -m pip --python /opt/postsync/bin/python install \
      --no-compile --require-hashes --requirement "${REQUIREMENTS}"
COPY pyproject.toml README.md LICENSE ./
COPY receiver receiver
COPY handlers handlers
# The lock has setuptools to build ourselves with. Bytecode is checked against nothing and has no
# time in it, so that a read-only file system starts as fast as any.
RUN python -m pip --python /opt/postsync/bin/python install \
      --no-compile --no-index --no-deps --no-build-isolation . && \
    python -m pip --python /opt/postsync/bin/python uninstall --yes setuptools && \
    python -m compileall -q --invalidation-mode unchecked-hash /opt/postsync/lib && \
    mkdir -p /var/lib/postsync /etc/postsync/rules && \
    find /opt/postsync /var/lib/postsync /etc/postsync \
      -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Postsync" \
      org.opencontainers.image.description="Runs actions after an Argo CD sync, per resource, durably, with an audit trail." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/postsync /opt/postsync
COPY --from=build /etc/postsync /etc/postsync
# The ledger's place: a volume. An empty one takes this owner.
COPY --from=build --chown=10001:10001 /var/lib/postsync /var/lib/postsync
ENV PATH=/opt/postsync/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    POSTSYNC_HOME=/var/lib/postsync \
    POSTSYNC_RULES=/etc/postsync/rules \
    POSTSYNC_HOST=0.0.0.0 \
    POSTSYNC_LOG_FORMAT=json
WORKDIR /var/lib/postsync
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080
# Kubernetes has its own probes and ignores this one.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["postsync", "health"]
ENTRYPOINT ["postsync"]
CMD ["serve"]
