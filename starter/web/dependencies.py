"""What routes and pages are given by the app they belong to."""

from typing import Annotated

from fastapi import Depends, Path, Request

from starter.clients import Desk

API = "/api/v1"

ClientId = Annotated[str, Path(description="The client's id", examples=["acme"])]


def desk_of(request: Request) -> Desk:
    """The service that the app was made with."""
    desk: Desk = request.app.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(desk_of)]
