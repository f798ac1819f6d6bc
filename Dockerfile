# The page and the REST service for the CPU, without fastai: docker build -t srfast . && docker run --rm -p 8000:8000 srfast
FROM python:3.12-slim AS build
WORKDIR /build
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist .

FROM python:3.12-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PYTHONUNBUFFERED=1
WORKDIR /srv
COPY constraints.txt .
COPY --from=build /build/dist dist
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -c constraints.txt "$(ls dist/*.whl)[web]"
RUN useradd --system --no-create-home srfast
USER srfast
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["srfast", "app", "--host", "0.0.0.0"]
