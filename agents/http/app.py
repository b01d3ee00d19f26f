"""The HTTP door, put together."""

from importlib.metadata import version

from fastapi import FastAPI

from agents.doors.service import Service
from agents.http import describing, failures, health, observing, page, reference
from agents.http.hosts import Doorman
from agents.http.openai import chat, embeddings, files, models, responses, vector_stores
from agents.http.own import asking, documents, feedback, runs
from agents.mcp_door.http import mount


def create_app(service: Service) -> FastAPI:
    """The app of the service, which the caller has opened and closes."""
    app = FastAPI(
        title="Waggle",
        version=version("waggledance"),
        description="Ask your documents, and see where each answer stands.",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=describing.name_of_route,
        # `observing` tells of each request, once, and nothing of what was said in it.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service = service
    app.state.examining = health.Examining(service)
    failures.install(app)
    for module in (models, chat, responses, embeddings, files, vector_stores, runs, asking,
                   documents, feedback, health, observing, reference, page):  # fmt: skip
        app.include_router(module.router)
    mount(app, service)
    describing.describe(app, key_needed=not service.settings.open)
    app.add_middleware(failures.Failing)
    app.add_middleware(Doorman, service=service)
    app.add_middleware(observing.Observed, service=service)
    return app
