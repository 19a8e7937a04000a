"""A FastAPI backend."""

from typing import Annotated

from fastapi import Depends, FastAPI
from session_client.fastapi import ActiveSession, Sessions

from tests.harness.backends.wall_clock import set_apart

set_apart()
app = FastAPI()
sessions = Sessions.from_environment()
sessions.add_to(app)


@app.get("/who")
async def who(session: Annotated[ActiveSession, Depends(sessions.required)]) -> ActiveSession:
    """Answer who calls."""
    return session


@app.get("/who-in-an-outage")
async def who_in_an_outage(
    session: Annotated[ActiveSession, Depends(sessions.required_or_remembered)],
) -> ActiveSession:
    """Answer the same, while the service does not answer, too."""
    return session


@app.get("/is-remembering")
async def is_remembering() -> bool:
    """Answer whether this process holds the lease."""
    return sessions.client.is_remembering
