# Two stages: the first installs; the second runs, without pip or a compiler.
# PYTHON_IMAGE may be any image with CPython 3.11 or newer as `python`, the same for both stages.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The locked dependencies come first: their layer stays cached when only the source changes.
COPY requirements/build.txt requirements/image.txt requirements/
RUN python -m venv /opt/build && /opt/build/bin/pip install -q --require-hashes -r requirements/build.txt \
 && python -m venv --without-pip /opt/cognito-gateway \
 && /opt/build/bin/pip --python /opt/cognito-gateway/bin/python install -q --require-hashes --only-binary :all: \
      -r requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
# --no-build-isolation: the build tools are the locked ones above.
RUN /opt/build/bin/pip wheel -q --no-deps --no-build-isolation --no-index -w /wheel . \
 && /opt/build/bin/pip --python /opt/cognito-gateway/bin/python install -q --no-deps --no-index /wheel/*.whl

FROM ${PYTHON_IMAGE}
# The gateway does not need the base image's pip and similar tools, and an intruder could use them.
RUN for each in pip setuptools wheel pkg_resources _distutils_hack; do \
      rm -rf /usr/local/lib/python3.*/site-packages/"$each"* /usr/lib/python3/dist-packages/"$each"*; \
    done \
 && rm -rf /usr/local/lib/python3.*/ensurepip /usr/lib/python3.*/ensurepip /usr/local/bin/pip* /usr/bin/pip*
COPY --from=build /opt/cognito-gateway /opt/cognito-gateway
COPY config/gateway.image.yaml /etc/cognito-gateway/gateway.yaml
# For sign_in.state_dir: a named volume mounted here gets this owner and mode.
RUN install -d -m 0700 -o 65532 -g 65532 /var/lib/cognito-gateway
ENV PATH=/opt/cognito-gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="cognito-gateway" \
      org.opencontainers.image.description="A sidecar that puts Amazon Cognito in front of any HTTP API." \
      org.opencontainers.image.licenses="Apache-2.0"
# An unprivileged user. Kubernetes needs a number to check that it is not root.
USER 65532:65532
WORKDIR /
EXPOSE 8000 9090
STOPSIGNAL SIGTERM
# Uses the listener of the probes. http.client instead of urllib, which would use the environment's proxy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["python", "-c", "\
import http.client as h; c = h.HTTPConnection('127.0.0.1', 9090, timeout=2); c.request('GET', '/healthz'); \
raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["cognito-gateway"]
CMD ["serve", "--config", "/etc/cognito-gateway/gateway.yaml"]
