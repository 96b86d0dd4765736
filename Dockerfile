# One image for workers, the API and `connect migrate`: exactly what runs, at the versions that the tests ran with.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock ./
RUN pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE worker.py ./
COPY workflows ./workflows
COPY activities ./activities
COPY starter ./starter
COPY deploy ./deploy
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

# Of the stage above only the wheel is kept: no test, no compiler of types, no PostgreSQL and no Temporal server is here.
FROM python:3.11.14-slim-bookworm
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --system --uid 10001 --no-create-home connect
COPY requirements-run.lock /requirements.lock
RUN pip install --require-hashes --requirement /requirements.lock
COPY --from=build /wheels /wheels
RUN pip install --no-deps /wheels/*.whl
USER connect
EXPOSE 8000
ENTRYPOINT ["connect"]
CMD ["serve"]
