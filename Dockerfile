# One image for all commands: anomaly operator, worker, explorer, backtest, validate.
#
#   docker build -t anomaly-operator:0.1.0 .
#   docker build --build-arg BASE_IMAGE=registry.example/python:3.12-slim -t anomaly-operator:0.1.0 .
#
# The base needs Python 3.11 or newer and pip. The image runs as any numeric user on a read-only root;
# it writes to /tmp and to the worker's data folder only.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY image image
ARG EXTRAS=table,s3,postgres
RUN EXTRAS="${EXTRAS}" image/install /src /opt/anomaly \
    && image/compile-kernels /opt/anomaly

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="anomaly-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/anomaly /opt/anomaly
COPY image/anomaly /usr/local/bin/anomaly
# Numeric, so that Kubernetes can see that it is not root.
USER 65532:65532
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
EXPOSE 8080
ENTRYPOINT ["anomaly"]
CMD ["--help"]
