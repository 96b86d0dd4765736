# One image for workers, the API and `connect migrate`: exactly the packages the tests ran with.
FROM python:3.11.14-slim-bookworm
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --system --uid 10001 --no-create-home connect
WORKDIR /src
COPY requirements.lock ./
RUN pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE worker.py ./
COPY workflows ./workflows
COPY activities ./activities
COPY starter ./starter
COPY deploy ./deploy
RUN pip install --no-deps --no-build-isolation .
WORKDIR /
USER connect
EXPOSE 8000
ENTRYPOINT ["connect"]
CMD ["serve"]
