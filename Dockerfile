# The page and the REST service for the CPU, without fastai: docker build -t srfast . && docker run --rm -p 8000:8000 srfast
# Both stages: python:3.12.14-slim-trixie of September 2026; dependabot brings newer ones.
FROM python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea AS build
WORKDIR /build
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist .

FROM python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea
# Where CPU builds of torch are; empty: only pip's own index.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
LABEL org.opencontainers.image.title="srfast" \
    org.opencontainers.image.description="Super-resolution: a page in the browser and a REST service" \
    org.opencontainers.image.source="https://github.com/srfast/srfast" \
    org.opencontainers.image.documentation="https://srfast.github.io/srfast" \
    org.opencontainers.image.licenses="Apache-2.0"
ENV PYTHONUNBUFFERED=1
WORKDIR /srv
COPY constraints.txt .
COPY --from=build /build/dist dist
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -c constraints.txt "$(ls dist/*.whl)[web]"
RUN useradd --system --no-create-home srfast
USER srfast
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["srfast", "app", "--host", "0.0.0.0"]
